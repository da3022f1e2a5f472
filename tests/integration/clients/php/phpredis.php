<?php
// phpredis, the C extension: phpredis.php PORT.
declare(strict_types=1);

require __DIR__ . '/cases.php';

function connect(): Redis
{
    global $port;
    $r = new Redis();
    $r->connect('127.0.0.1', $port, 20.0, null, 0, 20.0);
    return $r;
}

$r = connect();

run([
    'strings' => function () use ($r) {
        same(true, $r->set('k', 'v', ['nx', 'ex' => 100]));
        same(false, $r->set('k', 'w', ['nx']));
        same('v', $r->get('k'));
        same(false, $r->get('none'));
        same(100, $r->ttl('k'));
        same(true, $r->setex('e', 100, 'v'));
        same(false, $r->setnx('e', 'w'));
        same(true, $r->mset(['a' => '1', 'b' => '2']));
        same(['1', false, '2'], $r->mget(['a', 'none', 'b']));
        same(42, $r->incrBy('a', 41));
        same(42.5, $r->incrByFloat('a', 0.5));
        same(3, $r->append('c', 'abc'));
        same("\0\r\n\xff", $r->set('bytes', "\0\r\n\xff") ? $r->get('bytes') : null);
    },
    'keys' => function () use ($r) {
        same(true, $r->flushAll());
        $r->mset(array_combine(array_map(fn ($i) => "k$i", range(1, 300)), range(1, 300)));
        $r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
        $seen = [];
        $cursor = null;
        while (($keys = $r->scan($cursor, 'k*', 50)) !== false) {
            array_push($seen, ...$keys);
        }
        same(300, count(array_unique($seen)));
        same(300, $r->dbSize());
        same(true, $r->expire('k1', 100));
        same(true, $r->persist('k1'));
        same(true, $r->rename('k1', 'l1'));
        same(Redis::REDIS_STRING, $r->type('l1'));
        same(2, $r->unlink('l1', 'k2'));
        same(1, $r->exists('k3', 'k2'));
    },
    'hashes' => function () use ($r) {
        same(true, $r->hMSet('h', ['name' => 'Ada', 'born' => '1815']));
        same(['name' => 'Ada', 'born' => '1815'], $r->hGetAll('h'));
        same(['born' => '1815', 'none' => false], $r->hMGet('h', ['born', 'none']));
        same(1816, $r->hIncrBy('h', 'born', 1));
        same(Redis::REDIS_HASH, $r->type('h'));
        same(1, $r->hDel('h', 'name', 'none'));
    },
    'serializer' => function () {
        $s = connect();
        $s->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
        $s->setOption(Redis::OPT_PREFIX, 'php:');
        $value = ['list' => [1, 2.5, null, true], 'text' => "\0"];
        same(true, $s->set('value', $value));
        same($value, $s->get('value'));
        same(serialize($value), connect()->get('php:value'));
    },
    'transactions' => function () use ($r) {
        same([true, 2, '2'], $r->multi()->set('t', '1')->incr('t')->get('t')->exec());
        $r->watch('t');
        connect()->set('t', '10');
        same(false, $r->multi()->incr('t')->exec());
        same('10', $r->get('t'));
    },
    'pipelines' => function () use ($r) {
        $pipe = $r->multi(Redis::PIPELINE);
        for ($i = 0; $i < 1000; $i++) {
            $pipe->set("p$i", (string) $i)->get("p$i");
        }
        $replies = $pipe->exec();
        same(2000, count($replies));
        same('999', $replies[1999]);
    },
    'errors' => function () use ($r) {
        $r->set('text', 'no number');
        same(false, $r->incr('text'));
        same('ERR value is not an integer or out of range', rtrim($r->getLastError(), "\0"));
        $r->clearLastError();
        same(false, $r->rawCommand('NOSUCH'));
        $r->clearLastError();
    },
    'pubsub' => function () use ($port) {
        // subscribe() does not come back by itself, and this process cannot publish meanwhile.
        $child = proc_open([PHP_BINARY, __DIR__ . '/publish.php', (string) $port], [], $pipes);
        $heard = [];
        try {
            connect()->subscribe(['news'], function ($subscriber, $channel, $text) use (&$heard) {
                $heard = [$channel, $text];
                $subscriber->close(); // the only way out of subscribe()
            });
        } catch (RedisException) {
            // It reads on from the connection that is gone.
        }
        same(['news', 'hello'], $heard);
        same(0, proc_close($child));
    },
    'server_commands' => function () use ($r) {
        same('hello', $r->echo('hello'));
        same(true, $r->client('setname', 'php'));
        same('php', $r->client('getname'));
        same('php', array_values(array_filter($r->client('list'), fn ($c) => $c['name'] === 'php'))[0]['name']);
        same(true, str_starts_with($r->info()['redis_version'], '7.'));
        same('10000', $r->config('GET', 'maxclients')['maxclients']);
    },
    'reconnects' => function () use ($r) {
        $r->select(3);
        restart();
        same(true, $r->set('after', '1')); // phpredis connects again by itself and selects the database
        same('1', $r->get('after'));
        same(false, connect()->get('after'));
        $r->select(0);
    },
    'sessions' => function () use ($port) {
        ini_set('session.save_handler', 'redis');
        ini_set('session.save_path', "tcp://127.0.0.1:$port?prefix=sess:");
        ini_set('session.use_cookies', '0');
        ini_set('session.cache_limiter', '');
        session_id('visitor1');
        session_start();
        $_SESSION['visits'] = 1;
        session_write_close();
        $_SESSION = [];
        session_start();
        same(1, $_SESSION['visits']);
        session_destroy();
        same(0, connect()->exists('sess:visitor1'));
    },
]);
