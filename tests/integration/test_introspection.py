"""COMMAND, INFO, CLIENT: what the server tells clients and tools about itself."""
import re

from case import CompareCase
from tarn import Tarn, until


def without_notes(spec):
    """A key specification without the remarks for people that Redis has on some."""
    return spec[2:] if spec[0] == b"notes" else spec


class Introspection(CompareCase):
    def names(self, connection):
        return {name.decode() for name in connection.cmd("COMMAND", "LIST")}

    def test_command_info_says_what_redis_says(self):
        """Name, arity, flags and key positions of every command that both have."""
        shared = sorted(self.names(self.c) & self.names(self.r))
        self.assertGreater(len(shared), 80)
        for name in shared:
            with self.subTest(command=name):
                expected, got = (x.cmd("COMMAND", "INFO", name)[0] for x in (self.r, self.c))
                self.assertEqual(got[0], expected[0])
                self.assertEqual(got[1], expected[1], "arity")
                self.assertEqual(set(got[2]), set(expected[2]), "flags")
                self.assertEqual(got[3:6], expected[3:6], "key positions")
                self.assertEqual(got[6], expected[6], "categories")
                self.assertEqual(set(got[7]), set(expected[7]), "tips")
                self.assertEqual(got[8], [without_notes(spec) for spec in expected[8]], "key specifications")
                self.assertEqual(len(got), len(expected), "fields")
        missing = {"get", "config|get", "scan"} - set(shared)
        self.assertEqual(missing, set())

    def commands(self):
        """Without the subcommands, which COMMAND LIST names as well."""
        return {name for name in self.names(self.c) if "|" not in name}

    def test_count_and_list_agree(self):
        self.assertEqual(self.c.cmd("COMMAND", "COUNT"), len(self.commands()))
        self.assertEqual(len(self.c.cmd("COMMAND")), len(self.commands()))
        self.assertIn("config|get", self.names(self.c))

    def test_docs_hold_what_redis_cli_reads(self):
        """redis-cli builds its hints from summary, group, arguments."""
        self.c.cmd("HELLO", "3")
        docs = self.c.cmd("COMMAND", "DOCS")
        self.assertEqual({name.decode() for name in docs}, self.commands())
        for name, doc in docs.items():
            for field in (b"summary", b"since", b"group"):
                self.assertIn(field, doc, name)

    def test_replies_are_those_of_redis(self):
        self.assert_same("""
            1: COMMAND GETKEYS GET a
            1: COMMAND GETKEYS MSET a 1 b 2
            1: COMMAND GETKEYS COPY x y REPLACE
            1: COMMAND GETKEYS DEL a b c
            1: COMMAND GETKEYS SET k v EX 1
            1: COMMAND GETKEYS PING
            1: COMMAND GETKEYS PING x
            1: COMMAND GETKEYS NOSUCH x
            1: COMMAND GETKEYS GET a b
            1: COMMAND GETKEYS CONFIG GET
            1: COMMAND GETKEYS OBJECT FREQ k
            1: COMMAND GETKEYS CONFIG NOSUCH
            1: COMMAND GETKEYSANDFLAGS
            1: COMMAND GETKEYSANDFLAGS GET a
            1: COMMAND GETKEYSANDFLAGS SET a 1
            1: COMMAND GETKEYSANDFLAGS SET a 1 EX 7 get
            1: COMMAND GETKEYSANDFLAGS BITFIELD a GET u8 0
            1: COMMAND GETKEYSANDFLAGS BITFIELD a GET u8 0 SET u8 0 1
            1: COMMAND GETKEYSANDFLAGS BITOP AND d a b
            1: COMMAND GETKEYSANDFLAGS RENAME a b
            1: COMMAND GETKEYSANDFLAGS COPY a b
            1: COMMAND GETKEYSANDFLAGS MSET a 1 b 2
            1: COMMAND GETKEYSANDFLAGS DEL a b
            1: COMMAND GETKEYSANDFLAGS SPUBLISH a b
            1: COMMAND GETKEYSANDFLAGS NOSUCH a
            1: COMMAND GETKEYSANDFLAGS PING a
            1: COMMAND INFO nosuch
            1: COMMAND INFO nosuch config|nosuch
            1: COMMAND INFO get nosuch get|x
            1: COMMAND DOCS nosuch
            1: COMMAND LIST nosuch
            1: COMMAND LIST FILTERBY
            1: COMMAND LIST FILTERBY PATTERN
            1: COMMAND LIST FILTERBY NOSUCH x
            1: COMMAND LIST FILTERBY MODULE json
            1: COMMAND LIST FILTERBY ACLCAT nosuch
            1: COMMAND LIST FILTERBY PATTERN nosuch*
            1: COMMAND LIST FILTERBY PATTERN getr*
            1: COMMAND COUNT x
            1: COMMAND NOSUCH
            1: COMMAND GETKEYS
        """)

    def test_list_filters(self):
        for filter_by, value in (("PATTERN", "get*"), ("PATTERN", "*|GET"), ("ACLCAT", "string"), ("ACLCAT", "HASH"),
                                 ("ACLCAT", "dangerous"), ("ACLCAT", "keyspace"), ("ACLCAT", "fast")):
            with self.subTest(filter=filter_by, value=value):
                got, expected = (set(x.cmd("COMMAND", "LIST", "FILTERBY", filter_by, value)) for x in (self.c, self.r))
                shared = {name.encode() for name in self.names(self.c) & self.names(self.r)}
                self.assertEqual(got & shared, expected & shared)
                self.assertTrue(got & shared)

    def test_docs_say_what_is_deprecated_as_redis_does(self):
        for name in sorted((self.commands() - {"debug"}) & self.names(self.r)):
            fields = []
            for c in (self.r, self.c):
                reply = c.cmd("COMMAND", "DOCS", name)[1]
                doc = dict(zip(reply[::2], reply[1::2]))
                fields.append([doc.get(field) for field in (b"deprecated_since", b"replaced_by", b"doc_flags", b"since")])
            with self.subTest(command=name):
                self.assertEqual(fields[1], fields[0])

    def fields(self, connection, *sections):
        text = connection.cmd("INFO", *sections).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    def test_info_has_every_field_of_redis(self):
        """In the same sections; commands, errors and databases apart, which are as they were used."""
        for section in ("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "cluster"):
            missing = set(self.fields(self.r, section)) - set(self.fields(self.c, section))
            self.assertEqual(missing, set(), section)

    def test_info_values_have_the_form_of_redis(self):
        expected, got = self.fields(self.r), self.fields(self.c)
        for name in set(expected) & set(got):
            for form in (r"-?\d+", r"-?\d+\.\d\d", r"\d+\.\d{6}", r"[\d.]+%", r"[\d.]+[BKMGT]", r"[0-9a-f]{40}"):
                if re.fullmatch(form, expected[name]):
                    self.assertRegex(got[name], f"^{form}$" if form != r"-?\d+" else r"^-?\d+$", name)
        self.assertEqual(int(got["process_id"]), self.tarn.pid)
        self.assertEqual(int(got["tcp_port"]), self.tarn.port)
        self.assertRegex(got["tarn_version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(got["redis_version"], "7.2.4")

    def test_rates_follow_the_load(self):
        def is_busy():
            for _ in range(50):
                self.c.cmd("PING")
            stats = self.fields(self.c, "stats")
            return int(stats["instantaneous_ops_per_sec"]) > 10 and float(stats["instantaneous_input_kbps"]) > 0 \
                and float(stats["instantaneous_output_kbps"]) > 0
        until(is_busy, "the rates to rise")
        self.c.cmd("CONFIG", "RESETSTAT")
        self.assertLess(int(self.fields(self.c, "stats")["instantaneous_ops_per_sec"]), 10)

    def test_average_ttl_is_near(self):
        self.assertNotIn("db0", self.fields(self.c, "keyspace"))
        for i in range(50):
            self.c.cmd("SET", f"k{i}", "v", "PX", 1000000)
        self.c.cmd("SET", "forever", "v")
        _, expires, average = self.fields(self.c, "keyspace")["db0"].split(",")
        self.assertEqual(expires, "expires=50")
        self.assertTrue(900000 < int(average.split("=")[1]) <= 1000000, average)

    def test_info_counts(self):
        self.c.cmd("CONFIG", "RESETSTAT")
        self.c.cmd("SET", "k", "v", "EX", "100")
        self.c.cmd("SET", "l", "v")
        self.c.cmd("GET", "k")
        self.c.cmd("GET", "none")
        stats = self.info("stats")
        self.assertEqual((stats["keyspace_hits"], stats["keyspace_misses"]), ("1", "1"))
        self.assertRegex(self.info("keyspace")["db0"], "^keys=2,expires=1,avg_ttl=")

    def test_client_list_describes_each_client(self):
        with self.tarn.connect() as other:
            other.cmd("CLIENT", "SETNAME", "other")
            other.cmd("SELECT", "3")
            number = other.cmd("CLIENT", "ID")
            lines = self.c.cmd("CLIENT", "LIST").decode().strip().split("\n")
            self.assertEqual(len(lines), 2)
            fields = dict(word.split("=", 1) for word in next(x for x in lines if f"id={number} " in x).split(" "))
            self.assertEqual((fields["name"], fields["db"], fields["cmd"]), ("other", "3", "client|id"))
            self.assertRegex(fields["addr"], r"^127\.0\.0\.1:\d+$")
            self.assertEqual(len(self.c.cmd("CLIENT", "LIST", "ID", number).decode().strip().split("\n")), 1)


class Absent(CompareCase):
    """What Redis has and a cache has not, asked for as tools do."""

    def test_replies_are_those_of_redis(self):
        self.assert_same("""
            1: ROLE
            1: ROLE x
            1: CLUSTER
            1: CLUSTER INFO
            1: CLUSTER NODES
            1: CLUSTER SLOTS
            1: CLUSTER SHARDS
            1: CLUSTER MYID
            1: CLUSTER KEYSLOT a
            1: READONLY
            1: READWRITE
            1: MODULE LIST
            1: MODULE NOSUCH
            1: ACL
            1: ACL WHOAMI
            1: ACL WHOAMI x
            1: ACL USERS
            1: ACL LIST
            1: ACL CAT
            1: ACL CAT nosuch
            1: ACL CAT a b
            1: ACL GETUSER default
            1: ACL NOSUCH
        """)

    def test_in_resp3(self):
        for c in (self.r, self.c):
            c.cmd("HELLO", "3")
        for request in (("ROLE",), ("MODULE", "LIST"), ("ACL", "GETUSER", "default"), ("ACL", "CAT")):
            self.assertEqual(self.c.cmd(*request), self.r.cmd(*request))

    def test_categories_have_the_same_commands(self):
        shared = set(self.r.cmd("COMMAND", "LIST")) & set(self.c.cmd("COMMAND", "LIST"))
        for category in self.r.cmd("ACL", "CAT"):
            got, expected = (set(x.cmd("ACL", "CAT", category)) & shared for x in (self.c, self.r))
            self.assertEqual(got, expected, category)

    def test_lastsave_is_when_the_server_was_started(self):
        started = int(self.info("server")["server_time_usec"]) // 1000000 - int(self.info("server")["uptime_in_seconds"])
        self.assertLess(abs(self.c.cmd("LASTSAVE") - started), 3)

    def test_lolwut_has_the_version(self):
        self.assertIn(b"Tarn", self.c.cmd("LOLWUT"))
        self.assertIn(b"Tarn", self.c.cmd("LOLWUT", "VERSION", "5", "1", "2", "3"))

    def test_the_password_is_no_part_of_acl(self):
        with Tarn("--requirepass", "hunter2") as tarn, tarn.connect() as c:
            self.assertEqual(c.cmd("AUTH", "hunter2"), "OK")
            self.assertEqual(c.cmd("ACL", "LIST"), [b"user default on ~* &* +@all"])
            reply = c.cmd("ACL", "GETUSER", "default")
            self.assertEqual(reply[:4], [b"flags", [b"on"], b"passwords", []])
            self.assertIsNone(c.cmd("ACL", "GETUSER", "nosuch"))
