<?php

namespace App;

class Page
{
    public static function at(string $path): string
    {
        return $path === '/up' ? 'Application up' : getenv('APP_NAME');
    }
}
