// node-redis: node_redis.mjs RESP PORT, with RESP 2 or 3.
import assert from 'node:assert/strict';
import { createClient, createClientPool, ErrorReply, RESP_TYPES, WatchError } from 'redis';
import { port, restart, run, until } from './cases.mjs';

const RESP = Number(process.argv.at(-2));

async function connect(options = {}) {
  const client = createClient({ RESP, socket: { port, reconnectStrategy: 5 }, ...options });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const c = await connect();

// In RESP3 node-redis keeps values of its own and drops them when the server says that they changed.
async function client_side_cache() {
  const caching = await connect({ clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } });
  await c.set('cached', 'one');
  assert.equal(await caching.get('cached'), 'one');
  assert.equal(await caching.get('cached'), 'one');
  await c.set('cached', 'two');
  await until(async () => await caching.get('cached') === 'two');
  caching.destroy();
}

await run({
  async strings() {
    assert.equal(await c.set('k', 'v', { expiration: { type: 'EX', value: 100 } }), 'OK');
    assert.equal(await c.get('k'), 'v');
    assert.equal(await c.set('k', 'w', { condition: 'NX' }), null);
    assert.equal(await c.set('k', 'w', { GET: true }), 'v');
    assert.equal(await c.getDel('k'), 'w');
    assert.equal(await c.append('k', 'abc'), 3);
    assert.equal(await c.setRange('k', 1, 'XY'), 3);
    assert.equal(await c.getRange('k', 1, -1), 'XY');
    assert.equal(await c.strLen('k'), 3);
    assert.equal(await c.mSet({ a: '1', b: '2' }), 'OK');
    assert.deepEqual(await c.mGet(['a', 'none', 'b']), ['1', null, '2']);
    assert.equal(await c.incrBy('a', 41), 42);
    assert.equal(await c.incrByFloat('a', 0.5), '42.5');
  },

  async bytes() {
    const raw = c.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await c.set('bytes', value);
    assert.deepEqual(await raw.get('bytes'), value);
  },

  async keys() {
    await c.flushAll();
    await c.mSet(Array.from({ length: 300 }, (_, i) => [`k${i}`, 'v']).flat());
    const seen = new Set();
    for await (const keys of c.scanIterator({ MATCH: 'k*', COUNT: 50 })) {
      keys.forEach((key) => seen.add(key));
    }
    assert.equal(seen.size, 300);
    assert.equal(await c.dbSize(), 300);
    assert.equal(await c.expire('k1', 100), 1);
    assert.ok([99, 100].includes(await c.ttl('k1')));
    assert.equal(await c.persist('k1'), 1);
    assert.equal(await c.rename('k1', 'l1'), 'OK');
    assert.equal(await c.copy('l1', 'm1'), 1);
    assert.equal(await c.exists(['k1', 'l1', 'm1']), 2);
    assert.equal(await c.type('l1'), 'string');
    assert.equal(await c.unlink(['l1', 'm1', 'none']), 2);
  },

  async hashes() {
    assert.equal(await c.hSet('h', { name: 'Ada', born: '1815' }), 2);
    assert.deepEqual({ ...await c.hGetAll('h') }, { name: 'Ada', born: '1815' });
    assert.deepEqual(await c.hmGet('h', ['born', 'none']), ['1815', null]);
    assert.equal(await c.hIncrBy('h', 'born', 1), 1816);
    assert.deepEqual((await c.hKeys('h')).sort(), ['born', 'name']);
    const fields = [];
    for await (const part of c.hScanIterator('h')) {
      fields.push(...part.map((entry) => entry.field));
    }
    assert.deepEqual(fields.sort(), ['born', 'name']);
    assert.equal(await c.hDel('h', 'name'), 1);
    assert.deepEqual(await c.hExpire('h', ['born', 'none'], 100), [1, -2]);
  },

  async errors() {
    await c.set('text', 'no number');
    await assert.rejects(c.incr('text'), ErrorReply);
    await assert.rejects(c.sendCommand(['NOSUCH', 'command']), /unknown command/);
    assert.equal(await c.get('text'), 'no number');
  },

  async transactions() {
    assert.deepEqual(await c.multi().set('t', '1').incr('t').get('t').exec(), ['OK', 2, '2']);
    await c.watch('t');
    const other = await connect();
    await other.set('t', '10');
    await assert.rejects(c.multi().incr('t').exec(), WatchError);
    other.destroy();
    assert.equal(await c.get('t'), '10');
  },

  async auto_pipelining() {
    await c.set('n', '0');
    const numbers = await Promise.all(Array.from({ length: 2000 }, () => c.incr('n')));
    assert.deepEqual(numbers, Array.from({ length: 2000 }, (_, i) => i + 1));
  },

  async pubsub() {
    const subscriber = await connect();
    const heard = [];
    await subscriber.subscribe('news', (text, channel) => heard.push([channel, text]));
    await subscriber.pSubscribe('n?ws', (text, channel) => heard.push(['pattern', channel, text]));
    assert.equal(await c.publish('news', 'hello'), 2);
    await until(() => heard.length === 2);
    assert.deepEqual(heard, [['news', 'hello'], ['pattern', 'news', 'hello']]);
    if (RESP === 3) {
      assert.equal(await subscriber.get('none'), null); // allowed beside a subscription
    }
    await subscriber.unsubscribe('news');
    await subscriber.pUnsubscribe('n?ws');
    assert.equal(await c.publish('news', 'nobody'), 0);
    assert.equal(await subscriber.exists('none'), 0);
    subscriber.destroy();
  },

  async pool() {
    const pool = await createClientPool({ RESP, socket: { port } }, { minimum: 2, maximum: 5 }).connect();
    await pool.set('n', '0');
    await Promise.all(Array.from({ length: 100 }, () => pool.incr('n')));
    assert.equal(await pool.get('n'), '100');
    await pool.close();
  },

  async client_names_and_databases() {
    const named = await connect({ name: 'worker', database: 3 });
    assert.equal(await named.clientGetName(), 'worker');
    await named.set('here', '3');
    assert.equal(await c.get('here'), null);
    const me = await named.clientInfo();
    assert.equal(me.name, 'worker');
    assert.equal(me.db, 3);
    assert.equal(me.resp, RESP);
    assert.ok((await c.clientList()).some((entry) => entry.name === 'worker'));
    named.destroy();
  },

  async server_commands() {
    assert.match(await c.info(), /redis_version:/);
    assert.equal((await c.configGet('maxclients')).maxclients, '10000');
    assert.ok(await c.commandCount() > 100);
    assert.equal((await c.time()).length, 2);
    assert.equal(await c.echo('hello'), 'hello');
  },

  async reconnects() {
    const subscriber = await connect();
    const heard = [];
    await subscriber.subscribe('after', (text) => heard.push(text));
    await c.set('before', '1');
    await restart();
    // Commands wait in the client until it is connected again; the subscription is made anew.
    await until(async () => {
      try {
        return await c.set('after', '2');
      } catch {
        return false;
      }
    });
    assert.equal(await c.get('before'), null);
    assert.equal(await c.get('after'), '2');
    await until(async () => await c.publish('after', 'hello') === 1);
    await until(() => heard.length > 0);
    subscriber.destroy();
  },

  ...(RESP === 3 ? { client_side_cache } : {}),
});
