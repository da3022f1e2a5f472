"""What private database servers have in common: a folder of their own, a user that is not root, and an end by their
own process id."""
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from tarn import until

START_SECONDS = 60  # generous: a busy machine


class Daemon:
    """A database server process. Use as a context manager, or call stop()."""
    name = "daemon"
    user = "nobody"
    end_signal = None

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix=f"tarn-{self.name}-")
        self.log_path = os.path.join(self.dir, "log")
        self.process = None
        self.as_user = {}
        if os.getuid() == 0:
            entry = pwd.getpwnam(self.user)
            os.chown(self.dir, entry.pw_uid, entry.pw_gid)
            self.as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def run(self, *command, timeout=START_SECONDS):
        """A tool of the database, to its end."""
        done = subprocess.run(command, cwd=self.dir, capture_output=True, text=True, timeout=timeout, check=False,
                              env={**os.environ, "HOME": self.dir}, **self.as_user)
        if done.returncode != 0:
            raise AssertionError(f"{command[0]}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
        return done.stdout

    def launch(self, *command):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, "HOME": self.dir}, **self.as_user)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name}: exit {self.process.returncode} at start:\n{self.log()[-3000:]}")
            return self.is_serving()
        until(answers, f"{self.name} to serve", START_SECONDS)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def halt(self):
        """The process ends as in a crash; the data stays for start()."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.end_signal)
            self.process.send_signal(signal.SIGCONT)  # it may be frozen
            self.process.wait(timeout=START_SECONDS)
        self.process = None

    def stop(self):
        try:
            self.halt()
        finally:
            if self.process is not None:
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.dir, ignore_errors=True)


def write_file(folder, name, text, mode=0o600):
    """A small file in a server's folder, with the folder's owner."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    owner = os.stat(folder)
    if os.getuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)
    return path
