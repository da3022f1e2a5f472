<?php
// Publishes `hello` on the channel `news` until somebody hears it: publish.php PORT.
declare(strict_types=1);

$r = new Redis();
$r->connect('127.0.0.1', (int) end($argv), 20.0);
$end = microtime(true) + 20;
while ($r->publish('news', 'hello') !== 1) {
    if (microtime(true) > $end) {
        exit(1);
    }
    usleep(2000);
}
