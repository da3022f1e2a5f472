"""twemproxy (Debian's nutcracker) in front of servers on loopback: consistent hashing, failed servers are taken out."""
import os
import shutil
import signal

from daemon import Daemon, write_file
from tarn import free_port
from resp import Connection

CONFIG = """nodes:
  listen: 127.0.0.1:{port}
  redis: true
  hash: murmur
  distribution: ketama
  auto_eject_hosts: true
  server_failure_limit: 1
  server_retry_timeout: {retry_ms}
  timeout: {timeout_ms}
  servers:
{servers}
"""


class Twemproxy(Daemon):
    name = "nutcracker"
    end_signal = signal.SIGTERM

    def __init__(self, ports, retry_ms=300, timeout_ms=1000):
        super().__init__()
        try:
            binary = shutil.which("nutcracker", path=os.environ["PATH"] + ":/usr/sbin")
            if binary is None:
                raise AssertionError("nutcracker is not installed (script/setup test)")
            self.port = free_port()
            servers = "\n".join(f"   - 127.0.0.1:{port}:1 node{i}" for i, port in enumerate(ports))
            write_file(self.dir, "nutcracker.yml", CONFIG.format(port=self.port, retry_ms=retry_ms,
                                                                 timeout_ms=timeout_ms, servers=servers))
            self.launch(binary, "-c", os.path.join(self.dir, "nutcracker.yml"), "-s", str(free_port()), "-a", "127.0.0.1",
                        "-o", os.path.join(self.dir, "proxy.log"))
        except BaseException:
            self.stop()
            raise

    def connect(self, timeout=20):
        return Connection(("127.0.0.1", self.port), timeout)

    def is_serving(self):
        try:
            self.connect(1).close()
            return True
        except OSError:
            return False
