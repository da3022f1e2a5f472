<?php
// Predis, the client in PHP, and Symfony's cache over phpredis: frameworks.php PORT.
declare(strict_types=1);

require __DIR__ . '/cases.php';
require 'Predis/Autoloader.php';
require 'Symfony/Component/Cache/autoload.php';

use Symfony\Component\Cache\Adapter\RedisAdapter;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Contracts\Cache\ItemInterface;

Predis\Autoloader::register();

function adapter(string $namespace): RedisAdapter
{
    global $port;
    return new RedisAdapter(RedisAdapter::createConnection("redis://127.0.0.1:$port", ['timeout' => 20]), $namespace);
}

$p = new Predis\Client(['port' => $port]);

run([
    'predis_strings' => function () use ($p) {
        same('OK', (string) $p->set('k', 'v', 'EX', 100, 'NX'));
        same('v', $p->get('k'));
        same(null, $p->set('k', 'w', 'NX'));
        same(['v', null], $p->mget(['k', 'none']));
        same(1, $p->incr('n'));
        same(2, $p->hmset('h', ['a' => '1', 'b' => '2']) == 'OK' ? $p->hlen('h') : 0);
        same(['a' => '1', 'b' => '2'], $p->hgetall('h'));
    },
    'predis_transactions' => function () use ($p) {
        $replies = $p->transaction(fn ($t) => $t->set('t', '1')->incr('t'));
        same(2, $replies[1]);
        same(['PONG', '2'], array_map('strval', $p->pipeline(fn ($pipe) => $pipe->ping()->get('t'))));
    },
    'predis_scan' => function () use ($p) {
        for ($i = 0; $i < 100; $i++) {
            $p->set("scan:$i", 'v');
        }
        $keys = iterator_to_array(new Predis\Collection\Iterator\Keyspace($p, 'scan:*', 10), false);
        same(100, count(array_unique($keys)));
    },
    'symfony_cache' => function () {
        $cache = adapter('plain');
        $computed = 0;
        $compute = function (ItemInterface $item) use (&$computed) {
            $item->expiresAfter(100);
            return ['answer' => ++$computed];
        };
        same(['answer' => 1], $cache->get('question', $compute));
        same(['answer' => 1], $cache->get('question', $compute));
        same(true, $cache->hasItem('question'));
        same(true, $cache->delete('question'));
        same(['answer' => 2], $cache->get('question', $compute));
        same(true, adapter('plain')->clear());
        same(false, $cache->hasItem('question'));
    },
    'symfony_tags' => function () {
        $cache = new TagAwareAdapter(adapter('tagged'));
        $compute = function (ItemInterface $item) {
            $item->tag(['people']);
            return 'Ada';
        };
        same('Ada', $cache->get('person', $compute));
        same(true, $cache->hasItem('person'));
        same(true, $cache->invalidateTags(['people']));
        same(false, $cache->hasItem('person'));
    },
]);
