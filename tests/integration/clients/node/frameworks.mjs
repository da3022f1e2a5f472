// What frameworks keep in a Redis server: sessions, caches, rate limits. frameworks.mjs PORT.
import assert from 'node:assert/strict';
import http from 'node:http';
import { RedisStore } from 'connect-redis';
import session from 'express-session';
import KeyvRedis from '@keyv/redis';
import { createCache } from 'cache-manager';
import Keyv from 'keyv';
import limiters from 'rate-limiter-flexible';
import { createClient } from 'redis';
import { port, run, Skip, until } from './cases.mjs';

const client = createClient({ RESP: 3, socket: { port } });
await client.connect();
const limit = { storeClient: client, useRedisPackage: true, points: 3, duration: 100 };

// A server that counts the visits of each session; /leave ends one.
async function startSite(store) {
  const sessions = session({ store, secret: 'secret', resave: false, saveUninitialized: false });
  const site = http.createServer((request, response) => {
    sessions(request, response, () => {
      if (request.url === '/leave') {
        request.session.destroy(() => response.end('bye'));
        return;
      }
      request.session.visits = (request.session.visits ?? 0) + 1;
      response.end(String(request.session.visits));
    });
  });
  await new Promise((resolve) => { site.listen(0, '127.0.0.1', resolve); });
  return site;
}

async function visit(site, path, cookie) {
  const headers = cookie ? { cookie } : {};
  const response = await fetch(`http://127.0.0.1:${site.address().port}${path}`, { headers });
  return [await response.text(), response.headers.get('set-cookie')?.split(';')[0] ?? cookie];
}

async function keyvWithStore(options) {
  const keyv = new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${port}`), ...options });
  keyv.on('error', () => {});
  return keyv;
}

async function consume(limiter, key, times) {
  const left = [];
  for (let i = 0; i < times; i += 1) {
    left.push((await limiter.consume(key)).remainingPoints);
  }
  return left;
}

await run({
  async express_session() {
    const store = new RedisStore({ client, prefix: 'site:', ttl: 100 });
    const site = await startSite(store);
    const [first, cookie] = await visit(site, '/');
    assert.equal(first, '1');
    assert.equal((await visit(site, '/', cookie))[0], '2');
    assert.equal((await visit(site, '/'))[0], '1');
    const keys = await client.keys('site:*');
    assert.equal(keys.length, 2);
    assert.ok([99, 100].includes(await client.ttl(keys[0])));
    await visit(site, '/leave', cookie);
    assert.equal((await visit(site, '/', cookie))[0], '1');
    site.close();
    site.closeAllConnections();
  },

  async connect_redis_lists_sessions() {
    const store = new RedisStore({ client, prefix: 'many:', scanCount: 10 });
    for (let i = 0; i < 50; i += 1) {
      await store.set(`s${i}`, { cookie: {}, number: i });
    }
    assert.equal(await store.length(), 50);
    assert.equal((await store.ids()).length, 50);
    const numbers = (await store.all()).map((entry) => entry.number).sort((a, b) => a - b);
    assert.deepEqual(numbers, Array.from({ length: 50 }, (_, i) => i));
    await store.touch('s1', { cookie: {} });
    await store.clear();
    assert.equal(await store.length(), 0);
  },

  async keyv() {
    const keyv = await keyvWithStore({ namespace: 'shop' });
    assert.equal(await keyv.set('basket', { items: [1, 2] }), true);
    assert.deepEqual(await keyv.get('basket'), { items: [1, 2] });
    await keyv.setMany([{ key: 'a', value: 1 }, { key: 'b', value: 2, ttl: 100000 }]);
    assert.deepEqual(await keyv.getMany(['a', 'none', 'b']), [1, undefined, 2]);
    assert.equal(await keyv.has('a'), true);
    assert.equal(await keyv.delete('a'), true);
    assert.equal(await keyv.has('a'), false);
    await keyv.set('short', 'lived', 20);
    await until(async () => await keyv.get('short') === undefined);
    const names = [];
    for await (const [name] of keyv.iterator()) {
      names.push(name);
    }
    assert.deepEqual(names.sort(), ['b', 'basket']);
    await keyv.clear();
    assert.equal(await keyv.get('basket'), undefined);
    await keyv.disconnect();
  },

  async cache_manager() {
    const keyv = await keyvWithStore({ namespace: 'managed' });
    const cache = createCache({ stores: [keyv], ttl: 100000 });
    let computed = 0;
    const compute = async () => { computed += 1; return { answer: 42 }; };
    const all = await Promise.all(Array.from({ length: 20 }, () => cache.wrap('question', compute)));
    assert.deepEqual(all[19], { answer: 42 });
    assert.deepEqual(await cache.wrap('question', compute), { answer: 42 });
    assert.equal(computed, 1);
    await cache.mset([{ key: 'x', value: 1 }, { key: 'y', value: 2 }]);
    assert.deepEqual(await cache.mget(['x', 'none', 'y']), [1, undefined, 2]);
    assert.equal(await cache.del('x'), true);
    assert.ok(await cache.ttl('y') > Date.now());
    await cache.clear();
    assert.equal(await cache.get('y'), undefined);
    await keyv.disconnect();
  },

  async rate_limiter_without_scripts() {
    const limiter = new limiters.RateLimiterRedisNonAtomic({ ...limit, keyPrefix: 'plain' });
    assert.deepEqual(await consume(limiter, 'ada', 3), [2, 1, 0]);
    await assert.rejects(limiter.consume('ada'), (refused) => refused.msBeforeNext > 0);
    assert.deepEqual(await consume(limiter, 'bob', 1), [2]);
    assert.equal(await limiter.delete('ada'), true);
    assert.equal(await limiter.get('ada'), null);
  },

  async rate_limiter_with_a_script() {
    const limiter = new limiters.RateLimiterRedis({ ...limit, keyPrefix: 'script' });
    try {
      assert.deepEqual(await consume(limiter, 'ada', 3), [2, 1, 0]);
    } catch (error) {
      if (/unknown command 'eval/i.test(error.message)) {
        throw new Skip('RateLimiterRedis needs EVAL, which Tarn does not have');
      }
      throw error;
    }
  },
});
