"""Records what Prometheus has of three instances on the stand-in to which something happens: data for the dashboards.

    record.py DIRECTORY [MINUTES]

Runs the programs of target/debug and Prometheus for so many minutes (16), restarts what ended as a kubelet would, and
writes DIRECTORY/NAME.json for each dashboard: the dashboard, and what Prometheus answers to each of its queries.
"""

import contextlib
import json
import logging
import math
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import pytds

PASSWORD = "Record-er_1"
ROOT = pathlib.Path(__file__).parents[3]
CHART = ROOT / "charts/azure-sql-edge/files"
PROGRAMS = ROOT / "target/debug"
SCRAPE_S = 5
# Seconds that the container's runtime needs for a container; and that nothing here takes.
BACK_AFTER_S, PATIENCE_S = 2, 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Instance:
    """A stand-in engine and its supervisor, with what a kubelet and a client would do."""

    def __init__(self, folder, namespace, pod, rows_per_second):
        self.folder = folder / pod
        self.folder.mkdir()
        self.labels = {"cluster": "west", "namespace": namespace, "pod": pod}
        self.rows_per_second = rows_per_second
        self.comm = f"sql-{pod}"[:15]
        self.port, self.dac, self.listen = free_port(), free_port(), f"127.0.0.1:{free_port()}"
        (self.folder / "password").write_text(PASSWORD)
        self.start(recovery_s=4)
        self.supervisor = subprocess.Popen(
            [PROGRAMS / "sql-edge-supervisor", "run"],
            env=os.environ | {f"SUPERVISOR_{name}": str(value) for name, value in self.settings().items()},
            stdout=(self.folder / "supervisor.log").open("w"),
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self.write_rows, daemon=True).start()

    def settings(self):
        return {
            "LISTEN": self.listen,
            "PROCESS_NAME": self.comm,
            "SQL_PORT": self.port,
            "SQL_PASSWORD_FILE": self.folder / "password",
            "DATA_DIR": self.folder / "data",
            "STATE_DIR": self.folder / "state",
            "REQUIRE_MOUNT": "false",
            "REQUIRED_DATABASES": "orders",
        }

    def start(self, recovery_s):
        """Starts the engine; its required database recovers for so long."""
        (self.folder / "script.json").write_text(json.dumps({
            "start": [
                {"phase": "refusing", "ms": 3000},
                {"phase": "recovering", "databases": ["orders"], "ms": recovery_s * 1000},
            ],
            "databases": [{"name": name} for name in ("master", "tempdb", "model", "msdb")]
            + [{"name": "orders", "recovery_model": 1}],
        }))
        (self.folder / "control").unlink(missing_ok=True)
        (self.folder / "announce").write_text("")
        flags = {"data-dir": "data", "control": "control", "announce": "announce", "script": "script.json"}
        self.engine = subprocess.Popen(
            [PROGRAMS / "examples/sqlservr", f"--port={self.port}", f"--dac-port={self.dac}"]
            + [f"--{flag}={self.folder / path}" for flag, path in flags.items()],
            env=os.environ | {"STANDIN_NAME": self.comm, "MSSQL_SA_PASSWORD": PASSWORD},
            stdout=subprocess.DEVNULL,
        )
        self.ended = None

    def keep(self, recovery_s=25):
        """Starts an engine that has ended anew, a moment later."""
        if self.engine.poll() is None:
            return
        self.ended = self.ended or time.monotonic()
        if time.monotonic() - self.ended >= BACK_AFTER_S:
            self.start(recovery_s)

    def send(self, command, **fields):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE_S)
            control.connect(str(self.folder / "control"))
            control.sendall(json.dumps({"command": command, **fields}).encode() + b"\n")
            reply = json.loads(control.makefile().readline())
            if reply["reply"] == "refused":
                raise RuntimeError(reply["reason"])

    def signal(self, number):
        pid = json.loads((self.folder / "announce").read_text())["child_pid"]
        os.kill(pid, number)

    def write_rows(self):
        """Writes rows as a client does that comes back whenever the engine does."""
        key = 0
        while True:
            with contextlib.suppress(Exception):
                with pytds.connect(
                    "127.0.0.1", port=self.port, user="sa", password=PASSWORD, database="orders", autocommit=True,
                    timeout=5, login_timeout=5,
                ) as connection, connection.cursor() as cursor:
                    with contextlib.suppress(pytds.Error):
                        cursor.execute("CREATE TABLE dbo.journal (id int, epoch bigint)")
                    while True:
                        cursor.execute(f"INSERT INTO dbo.journal (id) VALUES ({key})")
                        key += 1
                        busy = 1 + 0.6 * math.sin(time.monotonic() / 90)
                        time.sleep(1 / (self.rows_per_second * busy))
            time.sleep(1)

    def end(self):
        for process in (self.supervisor, self.engine):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(PATIENCE_S)


class Prometheus:
    def __init__(self, folder, instances):
        self.address = f"127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
            "rule_files": [str(path) for path in sorted((CHART / "rules").glob("*.yaml"))],
            "scrape_configs": [{
                "job_name": "sql-edge",
                "static_configs": [{"targets": [one.listen], "labels": one.labels} for one in instances],
            }],
        }
        (folder / "prometheus.json").write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [
                "prometheus", f"--config.file={folder / 'prometheus.json'}", f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={self.address}", "--log.level=warn",
            ],
        )

    def ask(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return json.load(answer)["data"]["result"]

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


def happens(orders, stock, ledger):
    """What happens to the instances, by the part of the time that is over."""
    full = [{"on": {"kind": "ping"}, "effect": {"error": {"number": 1105}}}]
    yield 0.25, lambda: orders.signal(signal.SIGSTOP)
    yield 0.45, lambda: stock.signal(signal.SIGKILL)
    yield 0.60, lambda: ledger.send("load", load={"cpu_threads": 1, "cpu_percent": 60})
    yield 0.75, lambda: ledger.send("load", load={})
    # At the end something is wrong, so that it is seen what that looks like.
    yield 0.92, lambda: ledger.send("faults", faults=full)


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def recorded(prometheus, dashboard, since, until, instance):
    """The dashboard's answers, by panel and query, as Grafana would ask for them."""
    answers = {}
    for panel in panels(dashboard):
        step = 60 * int(panel["interval"].removesuffix("m")) if "interval" in panel else SCRAPE_S
        variables = {
            "cluster": ".*", "namespace": ".*", "pod": ".*", "instance": instance,
            "__rate_interval": f"{max(step + SCRAPE_S, 60)}s",
        }
        for target in panel.get("targets", []):
            query = re.sub(r"\$\{?(\w+)\}?", lambda found: variables[found[1]], target["expr"])
            if target["instant"]:
                result = prometheus.ask("query", query=query, time=until)
            else:
                result = prometheus.ask("query_range", query=query, start=since, end=until, step=step)
            answers.setdefault(panel["id"], {})[target["refId"]] = result
    return answers


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: record.py DIRECTORY [MINUTES]")
    # The client speaks of each try while an engine is away.
    logging.disable(logging.WARNING)
    out, length_s = pathlib.Path(sys.argv[1]), 60 * float((sys.argv[2:] or [16])[0])
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        instances = []
        for namespace, pod, rows in (("shop", "orders-0", 25), ("shop", "stock-0", 8), ("billing", "ledger-0", 3)):
            instances.append(Instance(folder, namespace, pod, rows))
            stack.callback(instances[-1].end)
        prometheus = Prometheus(folder, instances)
        stack.callback(prometheus.end)
        began, monotonic = time.time(), time.monotonic()
        story = list(happens(*instances))
        while time.monotonic() < monotonic + length_s:
            while story and time.monotonic() >= monotonic + story[0][0] * length_s:
                story.pop(0)[1]()
            for instance in instances:
                instance.keep()
            time.sleep(0.2)
        until = time.time()
        for file in sorted((CHART / "dashboards").glob("*.json")):
            dashboard = json.loads(file.read_text())
            answers = recorded(prometheus, dashboard, began, until, instances[0].listen)
            record = {"dashboard": dashboard, "answers": answers, "from": began, "to": until, "step": SCRAPE_S}
            (out / file.name).write_text(json.dumps(record))


if __name__ == "__main__":
    main()
