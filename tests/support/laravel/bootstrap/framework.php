<?php

namespace Illuminate\Database\Migrations {
    abstract class Migration
    {
    }
}

namespace Illuminate\Database\Schema {
    class Blueprint
    {
        public array $columns = [];

        public function id(): void
        {
            $this->columns[] = 'id INTEGER PRIMARY KEY';
        }

        public function timestamps(): void
        {
            $this->columns[] = 'created_at TEXT, updated_at TEXT';
        }
    }
}

namespace Illuminate\Support\Facades {
    use Illuminate\Database\Schema\Blueprint;

    class Schema
    {
        public static function create(string $table, callable $describe): void
        {
            $describe($made = new Blueprint());
            database()->exec("CREATE TABLE $table (" . implode(', ', $made->columns) . ')');
        }

        public static function dropIfExists(string $table): void
        {
            database()->exec("DROP TABLE IF EXISTS $table");
        }
    }
}

namespace {
    function environment(string $base): void
    {
        foreach (parse_ini_file("$base/.env", false, INI_SCANNER_RAW) as $name => $value) {
            putenv("$name=$value");
        }
    }

    function database(): PDO
    {
        static $database = null;
        $database ??= new PDO('sqlite:' . getenv('DB_DATABASE'));
        $database->exec('CREATE TABLE IF NOT EXISTS migrations (migration TEXT, batch INTEGER)');
        return $database;
    }
}
