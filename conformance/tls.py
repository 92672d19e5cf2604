"""Serves over TLS on each event loop, has two scanners judge it, and writes what they found.

    python -m conformance.tls [--loops asyncio,uvloop] [--without-testssl]

sslyze comes from PyPI, into an environment of its own; testssl.sh has to be there (Debian: apt-get install testssl.sh).
The certificate is made for the occasion, with the `openssl` command, and is such that a scanner has nothing to say of
it. `make conformance-tls` calls this. See README.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.harness import serve

SUMMARY = Path(__file__).with_name("tls.md")
SSLYZE = "sslyze==6.3.1"
SCANS = ("certinfo", "sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "compression", "early_data")
MORE_SCANS = ("openssl_ccs", "fallback", "heartbleed", "robot", "reneg", "resum", "elliptic_curves", "ems")
# Protocols, kinds of suites, forward secrecy, preferences, defaults, fields of the response, vulnerabilities.
TESTSSL = ("--quiet", "--color=0", "--warnings=batch", "--ip=one", "-p", "-s", "-f", "-P", "-S", "-h", "-U")
TIMEOUT_SECONDS = 900.0

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "WARN", "INFO", "OK")
ABOVE_LOW = frozenset(SEVERITIES[:3])
# What Mozilla's recommendation (intermediate) wants, and nobody here can give.
EXPLAINED = {
    "certificate_path_validation": "the certificate was made for the occasion",
    "tls_curves": "X448 and secp521r1 are among OpenSSL's own groups, and Python can name only one group",
}

CERTIFICATE = """
[leaf]
subjectAltName = DNS:localhost, IP:127.0.0.1
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
crlDistributionPoints = URI:http://localhost/crl
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
"""


class Unable(Exception):
    """The scanners cannot be run; the text says why, and what to do."""


@dataclass
class Found:
    """What was found on one loop.

    Attributes:
        facts: what sslyze says, by question.
        advice: what Mozilla's recommendation has against it, by name.
        severities: how many findings testssl.sh has of each severity; empty where it was not run.
        remarks: what is not plainly in order, one line each.
    """

    facts: dict[str, str] = field(default_factory=dict)
    advice: dict[str, str] = field(default_factory=dict)
    severities: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def in_order(self) -> bool:
        """Whether every bar is met."""
        wanted = all(self.facts[question] == answer for question, answer, _ in QUESTIONS)
        return wanted and not self.advice.keys() - EXPLAINED.keys() and not ABOVE_LOW & self.severities.keys()


def make_certificate(folder: Path) -> dict[str, Path]:
    """A certificate for localhost, its key, and who vouches for it."""
    ca, ca_key, leaf, key, request, extensions = (
        folder / name for name in ("ca.pem", "ca.key", "leaf.pem", "leaf.key", "leaf.csr", "leaf.cnf")
    )
    extensions.write_text(CERTIFICATE)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    signing = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", extensions, "-extensions", "leaf"]
    for words in (
        ["req", "-x509", *new, "-days", "365", "-subj", "/CN=Whorl test authority", "-keyout", ca_key, "-out", ca],
        ["req", *new, "-subj", "/CN=localhost", "-keyout", key, "-out", request],
        ["x509", "-req", "-in", request, *signing, "-days", "90", "-out", leaf],
    ):
        try:
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unable(f"openssl cannot make a certificate: {error}") from None
    return {"ssl_certfile": leaf, "ssl_keyfile": key, "ca": ca}


def install_sslyze(cache: Path) -> Path:
    """An interpreter that has sslyze; installed first where it is not there yet."""
    python = cache / "venv" / "bin" / "python"
    mark = cache / "installed"
    if not mark.exists() or mark.read_text() != SSLYZE:
        shutil.rmtree(cache, ignore_errors=True)
        venv.create(cache / "venv", with_pip=True)
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", SSLYZE]
        if subprocess.run(words).returncode:
            raise Unable(f"{SSLYZE} cannot be installed")
        mark.write_text(SSLYZE)
    return python


def accepted(version: str) -> Callable[[dict[str, Any]], str]:
    """The suites that are spoken in a version of TLS."""

    def suites(results: dict[str, Any]) -> str:
        names = [
            suite["cipher_suite"]["name"] for suite in results[f"{version}_cipher_suites"]["accepted_cipher_suites"]
        ]
        return ", ".join(sorted(name.removeprefix("TLS_") for name in names)) or "none"

    return suites


def said(scan: str, name: str) -> Callable[[dict[str, Any]], str]:
    """One fact of a scan."""
    return lambda results: str(results[scan][name]).lower()


MODERN = "AES_128_GCM_SHA256, AES_256_GCM_SHA384, CHACHA20_POLY1305_SHA256"
SECRET = (
    "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "
    "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
)
QUESTIONS: Sequence[tuple[str, str, Callable[[dict[str, Any]], str]]] = (
    ("SSL 2.0", "none", accepted("ssl_2_0")),
    ("SSL 3.0", "none", accepted("ssl_3_0")),
    ("TLS 1.0", "none", accepted("tls_1_0")),
    ("TLS 1.1", "none", accepted("tls_1_1")),
    ("TLS 1.2", SECRET, accepted("tls_1_2")),
    ("TLS 1.3", MODERN, accepted("tls_1_3")),
    ("compression (CRIME)", "false", said("tls_compression", "supports_compression")),
    ("early data", "false", said("tls_1_3_early_data", "supports_early_data")),
    ("injected ChangeCipherSpec", "false", said("openssl_ccs_injection", "is_vulnerable_to_ccs_injection")),
    ("Heartbleed", "false", said("heartbleed", "is_vulnerable_to_heartbleed")),
    ("ROBOT", "not_vulnerable_rsa_not_supported", said("robot", "robot_result")),
    ("renegotiations that a client got", "0", said("session_renegotiation", "client_renegotiations_success_count")),
    ("RFC 5746", "true", said("session_renegotiation", "supports_secure_renegotiation")),
    ("TLS_FALLBACK_SCSV", "true", said("tls_fallback_scsv", "supports_fallback_scsv")),
    ("extended master secret", "true", said("tls_extended_master_secret", "supports_ems_extension")),
    ("resumption with a ticket", "fully_supported", said("session_resumption", "tls_ticket_resumption_result")),
)


def ask_sslyze(python: Path, folder: Path, port: int, found: Found) -> None:
    """Run sslyze, and take down what it says."""
    report = folder / "sslyze.json"
    report.unlink(missing_ok=True)
    scans = [f"--{scan}" for scan in (*SCANS, *MORE_SCANS)]
    words = [str(python), "-m", "sslyze", *scans, "--mozilla_config", "intermediate", f"--json_out={report}"]
    run = subprocess.run([*words, f"localhost:{port}"], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    if not report.exists():
        raise Unable(f"sslyze did not come to its end: {run.stderr[-500:]}")
    scanned = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    results = {name: scan["result"] for name, scan in scanned.items() if scan["status"] == "COMPLETED"}
    found.facts = {question: ask(results) for question, _, ask in QUESTIONS}
    found.remarks += [
        f"sslyze, {question}: {found.facts[question]}, and {answer} is wanted"
        for question, answer, _ in QUESTIONS
        if found.facts[question] != answer
    ]
    found.advice = dict(re.findall(r"^ +\* (\w+): (.*)$", run.stdout.partition("COMPLIANCE")[2], re.MULTILINE))
    found.remarks += [
        f"Mozilla's recommendation, {name}: {EXPLAINED.get(name, text)}" for name, text in found.advice.items()
    ]


def ask_testssl(folder: Path, port: int, ca: Path, found: Found) -> None:
    """Run testssl.sh, and take down what it says."""
    report = folder / "testssl.json"
    report.unlink(missing_ok=True)
    words = ["testssl", *TESTSSL, "--add-ca", str(ca), "--jsonfile", str(report), f"localhost:{port}"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL)
    if not report.exists():
        raise Unable(f"testssl.sh did not come to its end: {run.stdout[-500:]}")
    findings = json.loads(report.read_text())
    if findings[-1]["id"] != "scanTime":
        raise Unable(f"testssl.sh stopped in the middle: {findings[-1]}")
    found.severities = Counter(finding["severity"] for finding in findings)
    found.remarks += [
        f"testssl.sh, {finding['severity']}: {finding['id']}: {finding['finding']}"
        for finding in findings
        if finding["severity"] not in ("OK", "INFO")
    ]


def summary(by_loop: dict[str, Found], testssl: str) -> str:
    """What was found, as a page."""
    loops = list(by_loop)
    lines = [
        "# TLS, scanned",
        "",
        f"{SSLYZE}, {testssl}, {ssl.OPENSSL_VERSION}, CPython {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}. How to run it: [README.md](README.md).",
        "",
        f"| sslyze asks | {' | '.join(loops)} |",
        f"|---|{'---|' * len(loops)}",
    ]
    for question, _, _ in QUESTIONS:
        lines.append(f"| {question} | {' | '.join(found.facts[question] for found in by_loop.values())} |")
    lines += ["", f"| findings of testssl.sh | {' | '.join(loops)} |", f"|---|{'---|' * len(loops)}"]
    for severity in SEVERITIES:
        told = (str(found.severities[severity]) if found.severities else "not run" for found in by_loop.values())
        lines.append(f"| {severity} | {' | '.join(told)} |")
    lines += ["", "What is not plainly in order:", ""]
    remarks = {
        remark: [loop for loop in loops if remark in by_loop[loop].remarks]
        for loop in loops
        for remark in by_loop[loop].remarks
    }
    lines += [f"- {', '.join(where) if where != loops else 'all'}: {remark}" for remark, where in remarks.items()]
    verdict = all(found.in_order for found in by_loop.values())
    lines += ["", f"The bar, every answer as wanted and no finding above low: {'met' if verdict else 'NOT MET'}."]
    return "\n".join(lines) + "\n"


def version_of_testssl() -> str:
    """What testssl.sh calls itself."""
    told = subprocess.run(["testssl", "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    found = re.search(r"testssl\.sh +(\S+)", told)
    return f"testssl.sh {found[1] if found else '?'}"


def scan(options: argparse.Namespace, folder: Path) -> dict[str, Found]:
    """Serve on each loop, and ask the scanners."""
    python = install_sslyze(Path(options.cache).absolute())
    certificate = make_certificate(folder)
    ca = certificate.pop("ca")
    by_loop: dict[str, Found] = {}
    for loop in options.loops.split(","):
        found = by_loop[loop.partition(":")[0]] = Found()
        with serve("conformance.greeting:app", loop=loop, access_log=False, **certificate) as process:
            ask_sslyze(python, folder, process.port, found)
            if not options.without_testssl:
                ask_testssl(folder, process.port, ca, found)
            if process.stop() != 0 or len(process.stderr) != 3:
                found.remarks.append(f"the server's own log: {process.stderr}")
        print(f"{loop}: {'in order' if found.in_order else found.remarks}", flush=True)
    return by_loop


def main() -> int:
    """Serve, scan, and say by the exit status: 0 if every bar was met, 1 if not, 2 if it could not be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", default="asyncio,uvloop,rloop:new_event_loop")
    parser.add_argument("--cache", default=".sslyze")
    parser.add_argument("--without-testssl", action="store_true", help="sslyze alone, which takes seconds")
    parser.add_argument("--summary", type=Path, default=SUMMARY)
    options = parser.parse_args()
    try:
        if not options.without_testssl and not shutil.which("testssl"):
            raise Unable("testssl.sh is not there: apt-get install testssl.sh, or --without-testssl")
        with tempfile.TemporaryDirectory() as folder:
            by_loop = scan(options, Path(folder))
    except Unable as error:
        print(error, file=sys.stderr)
        return 2
    testssl = "testssl.sh not run" if options.without_testssl else version_of_testssl()
    options.summary.write_text(summary(by_loop, testssl))
    return 0 if all(found.in_order for found in by_loop.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
