"""Certificates for tests, made by openssl in a folder: an authority, a server's, and an authority nobody asked for."""
import os
import subprocess

DAYS = "30"


def openssl(folder, *words):
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {words[0]}: {done.stderr}")


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", DAYS,
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def make_server(folder, authority, name, hosts):
    """A key and a certificate for `hosts` ("IP:127.0.0.1,DNS:db.example"), signed by the authority."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    with open(os.path.join(folder, f"{name}.ext"), "w", encoding="ascii") as f:
        f.write(f"subjectAltName={hosts}\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def make_all(folder):
    """authority.pem, server.pem and server.key (for 127.0.0.1), elsewhere.pem and elsewhere.key (for another host),
    and stranger.pem, an authority that signed neither."""
    make_authority(folder, "authority")
    make_authority(folder, "stranger")
    make_server(folder, "authority", "server", "IP:127.0.0.1")
    make_server(folder, "authority", "elsewhere", "DNS:db.example")
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)
