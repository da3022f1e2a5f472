// ioredis: ioredis.mjs PORT.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { port, restart, run, until } from './cases.mjs';

function connect(options = {}) {
  const client = new Redis(port, { retryStrategy: () => 5, ...options });
  client.on('error', () => {});
  return client;
}

const c = connect();

await run({
  async is_ready() { // after its look into INFO
    await new Promise((resolve) => { c.once('ready', resolve); });
    assert.equal(await c.ping(), 'PONG');
  },

  async strings() {
    assert.equal(await c.set('k', 'v', 'EX', 100, 'NX'), 'OK');
    assert.equal(await c.set('k', 'w', 'KEEPTTL', 'XX'), 'OK');
    assert.ok([99, 100].includes(await c.ttl('k')));
    assert.equal(await c.set('k', 'x', 'PX', 100000, 'GET'), 'w');
    assert.equal(await c.getex('k', 'PERSIST'), 'x');
    assert.equal(await c.pttl('k'), -1);
    assert.equal(await c.mset({ a: 1, b: 2 }), 'OK');
    assert.deepEqual(await c.mget('a', 'none', 'b'), ['1', null, '2']);
    assert.equal(await c.decrby('a', 3), -2);
    assert.equal(await c.del('a', 'b'), 2);
    const value = Buffer.from([0, 13, 10, 255, 36]);
    await c.set('bytes', value);
    assert.deepEqual(await c.getBuffer('bytes'), value);
  },

  async keys() {
    await c.flushall();
    await c.mset(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])));
    await c.hset('h', 'f', 'v');
    const seen = new Set();
    for await (const keys of c.scanStream({ match: '*', type: 'string', count: 50 })) {
      keys.forEach((key) => seen.add(key));
    }
    assert.equal(seen.size, 300);
    assert.equal(await c.object('ENCODING', 'k7'), 'int');
    assert.equal(await c.touch('k1', 'none'), 1);
    assert.equal(await c.expireat('k1', Math.floor(Date.now() / 1000) + 100), 1);
    assert.equal(await c.unlink('k1'), 1);
  },

  async key_prefix() {
    const mine = connect({ keyPrefix: 'mine:' });
    await mine.mset('a', 1, 'b', 2);
    assert.equal(await mine.copy('a', 'c'), 1);
    assert.deepEqual(await c.mget('mine:a', 'mine:b', 'mine:c'), ['1', '2', '1']);
    mine.disconnect();
  },

  async hashes() {
    assert.equal(await c.hset('person', { name: 'Ada', born: 1815 }), 2);
    assert.deepEqual(await c.hgetall('person'), { name: 'Ada', born: '1815' });
    assert.equal(await c.hincrbyfloat('person', 'born', 0.5), '1815.5');
    assert.equal(await c.hlen('person'), 2);
  },

  async transactions() {
    assert.deepEqual(await c.multi().set('t', 1).incr('t').exec(), [[null, 'OK'], [null, 2]]);
    const [[, ok], [error]] = await c.multi().set('t', 'text').incr('t').exec();
    assert.equal(ok, 'OK');
    assert.match(error.message, /not an integer/);
    await c.watch('t');
    const other = connect();
    await other.set('t', 10);
    assert.equal(await c.multi().incr('t').exec(), null);
    other.disconnect();
  },

  async pipelines() {
    const pipeline = c.pipeline();
    for (let i = 0; i < 1000; i += 1) {
      pipeline.set(`p${i}`, i).get(`p${i}`);
    }
    const replies = await pipeline.exec();
    assert.deepEqual(replies.filter((_, i) => i % 2).map(([, text]) => text),
      Array.from({ length: 1000 }, (_, i) => String(i)));
  },

  async auto_pipelining() {
    const auto = connect({ enableAutoPipelining: true });
    const numbers = await Promise.all(Array.from({ length: 500 }, () => auto.incr('auto')));
    assert.equal(Math.max(...numbers), 500);
    assert.equal(new Set(numbers).size, 500);
    auto.disconnect();
  },

  async pubsub() {
    const subscriber = connect();
    const heard = [];
    subscriber.on('message', (channel, text) => heard.push([channel, text]));
    subscriber.on('pmessage', (pattern, channel, text) => heard.push([pattern, channel, text]));
    assert.equal(await subscriber.subscribe('news', 'more'), 2);
    assert.equal(await subscriber.psubscribe('n?ws'), 3);
    assert.equal(await c.publish('news', 'hello'), 2);
    await until(() => heard.length === 2);
    assert.deepEqual(heard, [['news', 'hello'], ['n?ws', 'news', 'hello']]);
    assert.equal(await subscriber.unsubscribe('news', 'more'), 1);
    assert.equal(await subscriber.punsubscribe('n?ws'), 0);
    assert.equal(await subscriber.get('none'), null);
    subscriber.disconnect();
  },

  async monitor() {
    const monitor = await c.monitor();
    const heard = [];
    monitor.on('monitor', (time, words) => heard.push(words));
    await c.set('seen', 'by the monitor');
    await until(() => heard.some((words) => words.join(' ') === 'set seen by the monitor'));
    monitor.disconnect();
  },

  async databases_and_quit() {
    const other = connect({ db: 2, connectionName: 'second' });
    await other.set('here', 2);
    assert.equal(await c.get('here'), null);
    assert.equal(await other.client('GETNAME'), 'second');
    assert.match(await c.client('LIST'), /name=second .*db=2 /);
    assert.equal(await other.quit(), 'OK');
  },

  async reconnects() {
    const subscriber = connect();
    const heard = [];
    subscriber.on('message', (channel, text) => heard.push(text));
    await subscriber.subscribe('after');
    const back = new Promise((resolve) => { c.once('ready', resolve); });
    await restart();
    await back;
    await c.set('after', 2);
    assert.equal(await c.get('after'), '2');
    await until(async () => await c.publish('after', 'hello') === 1);
    await until(() => heard.length > 0);
    subscriber.disconnect();
  },

  async killed_connections_come_back() {
    const victim = connect();
    const id = await victim.client('ID');
    const back = new Promise((resolve) => { victim.once('reconnecting', () => victim.once('ready', resolve)); });
    assert.equal(await c.client('KILL', 'ID', id), 1);
    await back;
    assert.notEqual(await victim.client('ID'), id);
    victim.disconnect();
  },
});
