"""node-redis, ioredis, and what builds on them: express-session, Keyv, cache-manager, rate-limiter-flexible.

The packages come from the npm registry, as node/package-lock.json names them, into the build folder. A machine without
Node.js, npm or the registry skips these cases with the reason.
"""
import functools
import hashlib
import os
import re
import shutil
import subprocess
import unittest

from client import BUILD, HERE, ProgramCase

NODE_MIN = 18
NPM_SECONDS = 180
SOURCES = os.path.join(HERE, "node")
FOLDER = os.path.abspath(os.path.join(BUILD, "node"))

# What npm says when the registry cannot be reached or trusted, as opposed to a lock file that is wrong.
UNREACHABLE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|"
                         r"ERR_SOCKET_TIMEOUT|ENOTCACHED|E40[37]|E429|E5\d\d|SELF_SIGNED_CERT_IN_CHAIN|"
                         r"UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_\w+)\b")


def lock_digest():
    with open(os.path.join(SOURCES, "package-lock.json"), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def npm_install():
    """Returns None, or why the packages are not here."""
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund",
                               "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000"],
                              cwd=FOLDER, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=NPM_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"npm ci did not end within {NPM_SECONDS} s"
    if done.returncode == 0:
        return None
    found = UNREACHABLE.search(done.stdout)
    if found is None:
        raise AssertionError(f"npm ci failed:\n{done.stdout}")
    return f"the npm registry cannot be reached ({found.group()})"


@functools.lru_cache(maxsize=None)
def prepare():
    """Puts the programs and their packages into the build folder; returns None, or why not."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MIN:
        return f"Node.js {version} is older than {NODE_MIN}"
    shutil.copytree(SOURCES, FOLDER, dirs_exist_ok=True)
    stamp = os.path.join(FOLDER, "node_modules", ".lock-digest")
    digest = lock_digest()
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as f:
            if f.read() == digest:
                return None
    reason = npm_install()
    if reason is None:
        with open(stamp, "w", encoding="ascii") as f:
            f.write(digest)
    return reason


class NodeCase(ProgramCase):
    @classmethod
    def unavailable(cls):
        return prepare()


NODE_REDIS = """strings bytes keys hashes errors transactions auto_pipelining pubsub pool client_names_and_databases
    server_commands reconnects"""


class NodeRedisResp2(NodeCase):
    command = ("node", os.path.join(FOLDER, "node_redis.mjs"), "2")
    cases = NODE_REDIS


class NodeRedisResp3(NodeCase):
    command = ("node", os.path.join(FOLDER, "node_redis.mjs"), "3")
    cases = f"{NODE_REDIS} client_side_cache"


class IoRedis(NodeCase):
    command = ("node", os.path.join(FOLDER, "ioredis.mjs"))
    cases = """is_ready strings keys key_prefix hashes transactions pipelines auto_pipelining pubsub monitor
        databases_and_quit reconnects killed_connections_come_back"""


class NodeFrameworks(NodeCase):
    command = ("node", os.path.join(FOLDER, "frameworks.mjs"))
    cases = """express_session connect_redis_lists_sessions keyv cache_manager rate_limiter_without_scripts
        rate_limiter_with_a_script"""


del NodeCase, ProgramCase  # they have no program of their own

if __name__ == "__main__":
    unittest.main()
