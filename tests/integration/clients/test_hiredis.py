"""hiredis as Debian ships it."""
import os
import subprocess
import unittest

from case import TarnCase
from client import BUILD


class Hiredis(TarnCase):
    def test_a_program_using_hiredis(self):
        done = subprocess.run([os.path.join(BUILD, "hiredis-client"), str(self.tarn.port)], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
