"""What is measured: a table of loads that tarn-load makes. special.py has what is more than a load."""
from typing import NamedTuple

MIB = 1 << 20
MILLION = 1000000


class Data(NamedTuple):
    """What a server holds before it is measured; workloads on equal data share the servers."""
    keys: int = MILLION
    value: str = "100"
    limit: int = 0  # maxmemory; 0: none


class Workload(NamedTuple):
    name: str
    title: str
    data: Data
    pipeline: int
    reads: int = 100  # percent
    connections: int = 50
    order: str = "uniform"
    keys: int = 0  # asked for; 0: those that the data has
    is_quick: bool = False  # part of --quick

    def arguments(self):
        """For tarn-load, without server and duration."""
        return ["--keys", str(self.keys or self.data.keys), "--value", self.data.value,
                "--connections", str(self.connections), "--pipeline", str(self.pipeline),
                "--reads", str(self.reads), "--key-order", self.order]


PLAIN = Data()
MANY = Data(keys=10 * MILLION)
# Filled with twice what fits. The keys that are then set are drawn from so many that hardly one is there already.
FULL = Data(keys=2 * MILLION, limit=100 * MIB)
PAGES = Data(keys=50000, value="4kb")
LARGE = Data(keys=5000, value="64kb")

WORKLOADS = [
    Workload("get-p1", "GET, pipeline 1", PLAIN, 1, is_quick=True),
    Workload("get-p16", "GET, pipeline 16", PLAIN, 16, is_quick=True),
    Workload("get-p64", "GET, pipeline 64", PLAIN, 64, is_quick=True),
    Workload("get-c1", "GET, 1 connection, pipeline 1", PLAIN, 1, connections=1),
    Workload("get-c500", "GET, 500 connections, pipeline 1", PLAIN, 1, connections=500),
    Workload("zipf-p16", "10 GET : 1 SET, Zipf 0.99, pipeline 16", PLAIN, 16, reads=91, order="zipf:0.99",
             is_quick=True),
    Workload("set-p1", "SET, pipeline 1", PLAIN, 1, reads=0, is_quick=True),
    Workload("set-p16", "SET, pipeline 16", PLAIN, 16, reads=0, is_quick=True),
    Workload("set-p64", "SET, pipeline 64", PLAIN, 64, reads=0, is_quick=True),
    Workload("get-10m-p16", "GET, 10 M keys, pipeline 16", MANY, 16),
    Workload("get-10m-p64", "GET, 10 M keys, pipeline 64", MANY, 64),
    Workload("set-10m-p16", "SET, 10 M keys, pipeline 16", MANY, 16, reads=0),
    Workload("get-4k-p1", "GET 4 KiB, pipeline 1", PAGES, 1),
    Workload("get-4k-p16", "GET 4 KiB, pipeline 16", PAGES, 16, is_quick=True),
    Workload("set-4k-p16", "SET 4 KiB, pipeline 16", PAGES, 16, reads=0),
    Workload("get-64k-p1", "GET 64 KiB, pipeline 1", LARGE, 1),
    Workload("set-64k-p1", "SET 64 KiB, pipeline 1", LARGE, 1, reads=0),
    Workload("evict-p16", "SET under eviction (100 MiB), pipeline 16", FULL, 16, reads=0, keys=1000 * MILLION,
             is_quick=True),
]
