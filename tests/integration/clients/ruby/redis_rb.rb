# redis-rb and Rails's cache store on top of it: redis_rb.rb PORT.
require_relative 'cases'
require 'redis'
require 'active_support'
require 'active_support/cache/redis_cache_store'

def connect(**options)
  Redis.new(port: PORT, timeout: 20, **options)
end

def rails_cache
  ActiveSupport::Cache::RedisCacheStore.new(redis: connect, namespace: 'rails', expires_in: 100)
end

r = connect

run(
  strings: lambda {
    same true, r.set('k', 'v', nx: true, ex: 100)
    same false, r.set('k', 'w', nx: true)
    same 'v', r.set('k', 'w', get: true, keepttl: true)
    same 100, r.ttl('k')
    same 'w', r.getdel('k')
    same nil, r.get('k')
    same 'OK', r.mset('a', 1, 'b', 2)
    same ['1', nil, '2'], r.mget('a', 'none', 'b')
    same({ 'a' => '1' }, r.mapped_mget('a'))
    same 42, r.incrby('a', 41)
    same 42.5, r.incrbyfloat('a', 0.5)
    bytes = (0..255).map(&:chr).join.b
    r.set('bytes', bytes)
    same bytes, r.get('bytes').b
  },
  keys: lambda {
    same 'OK', r.flushall
    300.times { |i| r.set("k#{i}", i) }
    same 300, r.scan_each(match: 'k*', count: 50).to_a.uniq.size
    same 300, r.dbsize
    same true, r.expire('k1', 100)
    same true, r.persist('k1')
    same 'OK', r.rename('k1', 'l1')
    same true, r.copy('l1', 'm1')
    same 'string', r.type('m1')
    same 2, r.unlink('l1', 'm1')
    same false, r.exists?('l1')
  },
  hashes: lambda {
    same 2, r.hset('h', 'name' => 'Ada', 'born' => 1815)
    same({ 'name' => 'Ada', 'born' => '1815' }, r.hgetall('h'))
    same ['1815', nil], r.hmget('h', 'born', 'none')
    same 1816, r.hincrby('h', 'born', 1)
    same %w[born name], r.hscan_each('h').map(&:first).sort
  },
  transactions: lambda {
    same(['OK', 2, '2'], r.multi { |t| t.set('t', 1); t.incr('t'); t.get('t') })
    r.watch('t')
    connect.set('t', 10)
    same(nil, r.multi { |t| t.incr('t') })
  },
  pipelines: lambda {
    same((1..1000).to_a, r.pipelined { |p| 1000.times { p.incr('n') } })
  },
  errors: lambda {
    r.set('text', 'no number')
    begin
      r.incr('text')
      raise 'INCR of text is no error'
    rescue Redis::CommandError => e
      same 'ERR value is not an integer or out of range', e.message
    end
  },
  pubsub: lambda {
    heard = []
    subscriber = connect
    subscriber.subscribe('news') do |on|
      on.subscribe { |*| connect.publish('news', 'hello') }
      on.message do |channel, text|
        heard << [channel, text]
        subscriber.unsubscribe
      end
    end
    same [%w[news hello]], heard
    subscriber.psubscribe('n?ws') do |on|
      on.psubscribe { |*| connect.publish('news', 'again') }
      on.pmessage do |pattern, channel, text|
        heard << [pattern, channel, text]
        subscriber.punsubscribe
      end
    end
    same %w[n?ws news again], heard.last
    same 'PONG', subscriber.ping
  },
  databases_and_names: lambda {
    other = connect(db: 4, id: 'second')
    other.client(:setname, 'second')
    other.set('here', 4)
    same nil, r.get('here')
    same('4', r.client(:list).find { |c| c['name'] == 'second' }['db'])
  },
  reconnects: lambda {
    r.set('before', 1)
    restart
    same nil, r.get('before')
    same 'OK', r.set('after', 1)
  },
  rails_cache_fetch: lambda {
    cache = rails_cache
    computed = 0
    compute = -> { cache.fetch('question') { { answer: computed += 1 } } }
    same({ answer: 1 }, compute.call)
    same({ answer: 1 }, compute.call)
    same true, cache.exist?('question')
    same 1, cache.delete('question')
    same({ answer: 2 }, compute.call)
    cache.write('short', 'lived', expires_in: 0.02)
    sleep 0.005 while cache.read('short')
  },
  rails_cache_many: lambda {
    cache = rails_cache
    cache.write_multi({ 'a' => 1, 'b' => 2 })
    same({ 'a' => 1, 'b' => 2 }, cache.read_multi('a', 'b', 'none'))
    same 1, cache.increment('visits')
    same 5, cache.increment('visits', 4)
    same 3, cache.decrement('visits', 2)
    cache.delete_matched('[ab]')
    same nil, cache.read('b')
    cache.clear
    same nil, cache.read('visits', raw: true)
  }
)
