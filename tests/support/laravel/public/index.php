<?php

require __DIR__ . '/../vendor/autoload.php';

environment(dirname(__DIR__));
echo App\Page::at(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
