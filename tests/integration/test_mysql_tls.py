"""MariaDB over TLS: what the words ssl and ssl-ca of the dsn refuse and what they let through."""
import os
import shutil
import tempfile
import unittest

from certificates import make_all
from database import fields
from mariadb import MariaDB
from resp import Error
from tarn import Tarn, until


class SecureMariaDB(MariaDB):
    """Takes TLS with the certificate `name` of the folder `certificates`."""
    certificates = name_of_certificate = None

    @property
    def quick(self):
        path = os.path.join(self.certificates, self.name_of_certificate)
        return (*MariaDB.quick, f"--ssl-cert={path}.pem", f"--ssl-key={path}.key")


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = SecureMariaDB.certificates = tempfile.mkdtemp(prefix="tarn-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        os.chmod(cls.folder, 0o755)
        make_all(cls.folder)
        SecureMariaDB.name_of_certificate = "server"
        cls.server = SecureMariaDB()
        cls.addClassCleanup(cls.server.stop)
        cls.server.execute("CREATE TABLE item (id bigint PRIMARY KEY, name text)")
        cls.server.execute("INSERT INTO item VALUES (1, 'one')")
        cls.server.execute("CREATE USER secret@'127.0.0.1' REQUIRE SSL")
        cls.server.execute("GRANT SELECT ON shop.* TO secret@'127.0.0.1'")

    def serve(self, words, user="secret"):
        """A server whose source has these words in its dsn, and a connection."""
        tarn = Tarn(config=f"""source shop mysql "{self.server.dsn_for(user)} {words}" pool 1
map item shop "item:{{id:int}}" "SELECT name FROM item WHERE id = $id"
map cipher shop "cipher:{{id:int}}"
    "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher' AND $id = 1"
""".replace("\n    ", " "))
        self.addCleanup(tarn.stop)
        c = tarn.connect()
        self.addCleanup(c.close)
        return tarn, c

    def path(self, name):
        return os.path.join(self.folder, name + ".pem")

    def works(self, words):
        _, c = self.serve(words)
        self.assertEqual(c.cmd("GET", "item:1"), b"one")
        self.assertTrue(c.cmd("GET", "cipher:1").startswith(b"TLS_"), "the session is encrypted")

    def is_refused(self, words, reason):
        tarn, c = self.serve(words)
        reply = c.cmd("GET", "item:1")
        self.assertIsInstance(reply, Error)
        self.assertEqual(reply.split()[0], "SOURCEDOWN")
        self.assertNotIn("ssl", reply.lower())
        self.assertIn(reason, tarn.log().lower())
        self.assertIn(fields(c.cmd("SOURCE", "INFO", "shop"))["state"], (b"down", b"auth"))

    def test_verified_by_the_authority(self):
        self.works(f"ssl=verify ssl-ca={self.path('authority')}")

    def test_required_without_looking_at_the_certificate(self):
        self.works("ssl=require")

    def test_another_authority_is_refused(self):
        self.is_refused(f"ssl=verify ssl-ca={self.path('stranger')}", "certificate")

    def test_without_an_authority_nothing_is_verified_well(self):
        self.is_refused("ssl=verify", "certificate")

    def test_no_tls_is_refused_by_a_user_who_needs_it(self):
        self.is_refused("ssl=off", "denied")

    def test_off_is_plain_text(self):
        _, c = self.serve("ssl=off", user="tarn_admin")
        self.assertEqual(c.cmd("GET", "item:1"), b"one")
        self.assertEqual(c.cmd("GET", "cipher:1"), b"")

    def test_another_host_is_refused(self):
        """The certificate is the authority's, but of another name."""
        self.server.halt()
        SecureMariaDB.name_of_certificate = "elsewhere"
        try:
            self.server.start()
            self.is_refused(f"ssl=verify ssl-ca={self.path('authority')}", "certificate")
            self.works(f"ssl=require ssl-ca={self.path('authority')}")
        finally:
            self.server.halt()
            SecureMariaDB.name_of_certificate = "server"
            self.server.start()

    def test_a_server_without_tls_is_refused(self):
        self.server.halt()
        plain, SecureMariaDB.quick = SecureMariaDB.quick, (*MariaDB.quick, "--skip-ssl")
        try:
            self.server.start()
            for words in ("ssl=require", f"ssl=verify ssl-ca={self.path('authority')}"):
                tarn, c = self.serve(words, user="tarn_admin")
                self.assertIsInstance(c.cmd("GET", "item:1"), Error)
                self.assertRegex(tarn.log(), "SSL|TLS")
        finally:
            self.server.halt()
            SecureMariaDB.quick = plain
            self.server.start()
