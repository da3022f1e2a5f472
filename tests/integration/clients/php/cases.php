<?php
// What the programs of this folder share: see ../client.py for the lines they print.
declare(strict_types=1);

ini_set('assert.exception', '1');
$port = (int) end($argv);

set_error_handler(function (int $number, string $text, string $file, int $line): bool {
    if (!(error_reporting() & $number)) {
        return false;
    }
    throw new ErrorException($text, 0, $number, $file, $line);
});
error_reporting(E_ALL & ~E_DEPRECATED); // the packages are older than the interpreter

// Unlike echo this counts as no output of a page, before which sessions have to start.
function say(string $line): void
{
    fwrite(STDOUT, "$line\n");
}

class Skip extends Exception
{
}

function same(mixed $expected, mixed $got): void
{
    if ($expected !== $got) {
        throw new Exception('expected ' . var_export($expected, true) . ', got ' . var_export($got, true));
    }
}

function restart(): void
{
    say('restart');
    fgets(STDIN);
}

function run(array $cases): void
{
    foreach ($cases as $name => $body) {
        try {
            $body();
            say("ok $name");
        } catch (Skip $skip) {
            say("skip $name {$skip->getMessage()}");
        } catch (Throwable $error) {
            say(preg_replace('/^/m', '# ', (string) $error));
            say("not ok $name");
        }
    }
}
