# What the programs of this folder share: see ../client.py for the lines they print.
PORT = Integer(ARGV.last)

$stdout.sync = true

def same(expected, got)
  raise "expected #{expected.inspect}, got #{got.inspect}" unless expected == got
end

def restart
  puts 'restart'
  $stdin.gets
end

# Runs {name => block} in order.
def run(cases)
  cases.each do |name, body|
    body.call
    puts "ok #{name}"
  rescue StandardError => e
    puts "#{e.class}: #{e.message}\n#{e.backtrace.join("\n")}".gsub(/^/, '# ')
    puts "not ok #{name}"
  end
end
