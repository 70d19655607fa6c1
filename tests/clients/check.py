#!/usr/bin/env python3
"""Checks the stand-in engine with TDS clients that are not ours: python-tds and FreeTDS' tsql.

    check.py path/to/sqlservr

Needs the packages of requirements.txt, and tsql (Debian: freetds-bin). Prints a line for each check and ends with
"N passed, N failed"; the exit status is 1 when one failed.
"""

import datetime
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import traceback
import uuid

import pytds
import pytds.utils

PASSWORD = "Check-er_1"
LONG_TEXT = "\u00fc" * 9000
# Seconds; far above what anything here takes.
LIMIT = 30

TYPES = {
    "bit": True,
    "tinyint": 255,
    "smallint": -32768,
    "int": -2147483648,
    "bigint": -9223372036854775808,
    "real": 0.5,
    "float": 0.1,
    "datetime": "2026-11-23 04:51:00.120",
    "nvarchar(20)": "gr\u00fcn \u20ac",
    "varchar(20)": "gr\u00fcn",
    "nvarchar(max)": LONG_TEXT,
    "varchar(max)": LONG_TEXT,
}
LOGIN_ERRORS = [
    4060, 17142, 17187, 17188, 17189, 17197, 17300, 17803, 17809, 18401, 18451, 18452, 18456, 18461, 18470, 18486,
    18487, 18488,
]
QUERY_ERRORS = [
    229, 297, 300, 701, 802, 823, 824, 916, 921, 922, 926, 927, 942, 945, 1105, 1205, 1222, 3906, 9002,
]


VIEWS = [
    "sys.databases", "sys.master_files", "sys.dm_io_virtual_file_stats(NULL, NULL)", "sys.dm_os_performance_counters",
    "sys.dm_os_wait_stats", "sys.dm_os_schedulers", "sys.dm_os_process_memory", "sys.dm_os_sys_memory",
    "sys.dm_os_sys_info", "sys.dm_exec_sessions", "sys.dm_exec_requests", "sys.sysprocesses",
    "sys.dm_tran_version_store_space_usage", "tempdb.sys.dm_db_file_space_usage", "msdb.dbo.backupset",
    "msdb.dbo.sysjobs", "msdb.dbo.sysjobservers", "orders.sys.tables", "orders.sys.external_streaming_jobs",
]
PADDED = "SELECT object_name, counter_name, instance_name, cntr_value FROM sys.dm_os_performance_counters"
GROUPED = """
SELECT f.type_desc, COUNT(*) AS files, SUM(f.size) AS pages FROM sys.master_files AS f
JOIN sys.databases AS d ON d.database_id = f.database_id GROUP BY f.type_desc ORDER BY f.type_desc
"""
DYNAMIC = """
DECLARE @text nvarchar(max) = N'';
SELECT @text = @text + N'SELECT N' + QUOTENAME(name, '''') + N' AS db, COUNT(*) AS tables FROM ' + QUOTENAME(name)
    + N'.sys.tables WHERE data_retention_period > 0; '
FROM sys.databases WHERE is_data_retention_enabled = 1 AND HAS_DBACCESS(name) = 1;
EXEC sp_executesql @text
"""


# python-tds repeats a login after most errors and in the end tells only that it took too long; here the first answer
# counts.
pytds.utils.exponential_backoff = lambda work, **_: work(LIMIT)


class StandIn:
    """A stand-in process on a scratch directory."""

    def __init__(self, binary, *arguments):
        self.directory = tempfile.TemporaryDirectory(prefix="standin.")
        root = pathlib.Path(self.directory.name)
        self.control_path = str(root / "control.sock")
        self.output = open(root / "errors.log", "wb")
        environment = dict(os.environ, MSSQL_SA_PASSWORD=PASSWORD)
        self.process = subprocess.Popen(
            [binary, "--data-dir", str(root / "mssql"), "--control", self.control_path, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self.output,
        )
        # The errorlog comes on the same stream, but only the announcement is JSON.
        for line in self.process.stdout:
            if line.startswith(b"{"):
                self.port = json.loads(line)["port"]
                break
        else:
            raise RuntimeError("the stand-in ended before it was up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=LIMIT)
        self.output.close()
        self.directory.cleanup()

    def command(self, name, /, **fields):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(LIMIT)
            control.connect(self.control_path)
            control.sendall(json.dumps({"command": name, **fields}).encode() + b"\n")
            reply = json.loads(control.makefile().readline())
        if reply["reply"] == "refused":
            raise RuntimeError(reply["reason"])
        return reply

    def certificate(self):
        path = pathlib.Path(self.directory.name) / "server.pem"
        path.write_text(self.command("certificate")["pem"])
        return str(path)

    def connect(self, tls=False, **changes):
        settings = {
            "dsn": "127.0.0.1",
            "port": self.port,
            "user": "sa",
            "password": PASSWORD,
            "autocommit": True,
            "login_timeout": LIMIT,
            "timeout": LIMIT,
            # Whole-session TLS. The certificate is checked, but not its name: python-tds does that by a call that
            # pyOpenSSL no longer has.
            **({"cafile": self.certificate(), "validate_host": False} if tls else {}),
            **changes,
        }
        return pytds.connect(**settings)

    def tsql(self, batch, encryption, password=PASSWORD):
        """Runs a batch in tsql; its whole output."""
        config = pathlib.Path(self.directory.name) / "freetds.conf"
        config.write_text(
            f"[standin]\nhost = 127.0.0.1\nport = {self.port}\ntds version = 7.4\nencryption = {encryption}\n"
            "client charset = UTF-8\n"
        )
        done = subprocess.run(
            ["tsql", "-S", "standin", "-U", "sa", "-P", password],
            input=f"{batch}\ngo\nexit\n",
            env=dict(os.environ, FREETDSCONF=str(config)),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        return done.stdout + done.stderr


def rows(connection, query):
    """All result sets of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        sets = []
        while True:
            if cursor.description:
                sets.append(cursor.fetchall())
            if not cursor.nextset():
                return sets


def error_number(action):
    try:
        action()
    except pytds.Error as error:
        return getattr(error, "number", None) or getattr(error, "msg_no", None)
    raise AssertionError("no error")


def equal(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def type_answer():
    columns = [{"name": name, "type": name} for name in TYPES]
    fixed = [dict(column, nullable=False) for column in columns]
    values = list(TYPES.values())
    return {
        "contains": "every type",
        "results": [
            {"columns": columns, "rows": [values, [None] * len(values)]},
            {"columns": fixed, "rows": [values]},
        ],
    }


def heal(server):
    """Undoes what a failed check may have left behind."""
    server.command("reset")


def check_types(server, tls):
    server.command("answers", answers=[type_answer()])
    wanted = dict(TYPES, datetime=datetime.datetime(2026, 11, 23, 4, 51, 0, 120000))
    with server.connect(tls) as connection:
        first, second = rows(connection, "SELECT every type")
    equal(list(first[0]), list(wanted.values()))
    equal(list(first[1]), [None] * len(wanted))
    equal(list(second[0]), list(wanted.values()))


def check_result_sets(server, tls):
    with server.connect(tls) as connection:
        sets = rows(connection, "SELECT 1; SELECT 2 AS b, N'three'; USE msdb; SELECT DB_NAME()")
    equal([[tuple(row) for row in found] for found in sets], [[(1,)], [(2, "three")], [("msdb",)]])


def check_variant(server, tls):
    query = "SELECT SERVERPROPERTY('EngineEdition'), SERVERPROPERTY('ProductVersion')"
    with server.connect(tls) as connection:
        equal([tuple(row) for row in rows(connection, query)[0]], [(9, "15.0.2000.1559")])


def check_parameters(server, tls):
    with server.connect(tls) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sys.databases WHERE name = %s AND database_id = %s", ("it's", 2))
        equal(cursor.fetchall(), [])
        cursor.execute("SELECT name FROM sys.databases WHERE name = %s AND database_id = %s", ("tempdb", 2))
        equal([tuple(row) for row in cursor.fetchall()], [("tempdb",)])


def check_transactions(server, tls):
    with server.connect(tls, autocommit=False) as connection:
        rows(connection, "IF OBJECT_ID('dbo.journal') IS NULL CREATE TABLE dbo.journal (id bigint, epoch bigint)")
        before = rows(connection, "SELECT COUNT(*) FROM dbo.journal")[0][0][0]
        rows(connection, "INSERT INTO dbo.journal (id, epoch) VALUES (1, 1), (2, 1)")
        connection.commit()
        equal(rows(connection, "SELECT COUNT(*) FROM dbo.journal")[0][0][0], before + 2)
        connection.rollback()


def check_diagnostics(server, tls):
    server.command("diagnostics", diagnostics={"time_scale": 0.001})
    with server.connect(tls) as connection:
        report = rows(connection, "EXEC sp_server_diagnostics")[0]
    equal([row[2] for row in report], ["system", "resource", "query_processing", "io_subsystem", "events"])
    equal([row[3] for row in report], [1, 1, 1, 1, 0])


def check_views(server, tls):
    """All columns of all views, and what monitoring queries do with them."""
    server.command("set_database", database={"name": "orders", "data_retention": True})
    with server.connect(tls) as connection:
        for view in VIEWS:
            assert rows(connection, f"SELECT * FROM {view}")[0], view
        counter = rows(connection, f"{PADDED} WHERE counter_name = 'Batch Requests/sec'")[0][0]
        names = ("SQLServer:SQL Statistics", "Batch Requests/sec", "")
        equal(tuple(counter[:3]), tuple(name.ljust(128) for name in names))
        backup = rows(connection, "SELECT type, backup_size FROM msdb.dbo.backupset WHERE database_name = 'orders'")
        equal(tuple(backup[0][0]), ("D", 4194304))
        job = rows(connection, "SELECT job_id FROM msdb.dbo.sysjobs WHERE name = 'nightly backup'")
        equal(job[0][0][0], uuid.UUID(int=2))
        grouped = rows(connection, GROUPED)
        equal([tuple(row) for row in grouped[0]], [("LOG", 5, 1280), ("ROWS", 5, 5120)])
        equal([[tuple(row) for row in found] for found in rows(connection, DYNAMIC)], [[("orders", 1)]])


def check_denied(server, tls):
    server.command("set_view", name="msdb.dbo.backupset", view={"error": {"number": 229}})
    with server.connect(tls) as connection:
        equal(error_number(lambda: rows(connection, "SELECT COUNT(*) FROM msdb.dbo.backupset")), 229)


def check_wrong_password(server, tls):
    equal(error_number(lambda: server.connect(tls, password="wrong")), 18456)


def check_login_errors(server, tls):
    for number in LOGIN_ERRORS:
        server.command("login", login={"errors": [{"number": number}]})
        equal(error_number(lambda: server.connect(tls)), number)
    server.command("login", login="check")


def check_query_errors(server, tls):
    for number in QUERY_ERRORS:
        fault = {"effect": {"error": {"number": number}}, "on": {"kind": "ping"}, "times": 1}
        with server.connect(tls) as connection:
            server.command("faults", faults=[fault])
            equal(error_number(lambda: rows(connection, "SELECT 1")), number)
    server.command("faults", faults=[])


def check_garbage_instead_of_tls(server):
    server.command("accept", accept="tls_garbage")
    output = server.tsql("SELECT 4711 AS n", "require")
    assert "4711" not in output, output
    server.command("accept", accept="answer")
    assert "4711" in server.tsql("SELECT 4711 AS n", "require")


def check_certificate(server):
    name = ["-verify_ip", "127.0.0.1", server.certificate()]
    subprocess.run(["openssl", "verify", "-CAfile", server.certificate(), *name], check=True, stdout=subprocess.DEVNULL)


def check_refused(server, encryption):
    output = server.tsql("SELECT 4711 AS n", encryption)
    assert "4711" not in output, output


def check_tsql(server, encryption):
    output = server.tsql("SELECT 4711 AS n; SELECT name, state_desc FROM sys.databases", encryption)
    for text in ("4711", "tempdb\tONLINE"):
        assert text in output, output
    server.command("answers", answers=[type_answer()])
    output = server.tsql("SELECT every type", encryption)
    for text in ("-9223372036854775808", "gr\u00fcn \u20ac", "NULL", LONG_TEXT):
        assert text in output, output[:2000]
    output = server.tsql(f"{GROUPED}; SELECT job_id FROM msdb.dbo.sysjobs; {PADDED}", encryption)
    for text in ("ROWS\t4\t4096", "0000-000000000002", "Batch Requests/sec"):
        assert text in output, output
    assert "Msg 18456" in server.tsql("SELECT 1", encryption, password="wrong")
    assert "Msg 102" in server.tsql("FROBNICATE", encryption)
    for number in LOGIN_ERRORS:
        server.command("login", login={"errors": [{"number": number}]})
        output = server.tsql("SELECT 1", encryption)
        assert f"Msg {number}" in output, output
    server.command("login", login="check")
    for number in QUERY_ERRORS:
        fault = {"effect": {"error": {"number": number}}, "on": {"kind": "ping"}, "times": 1}
        server.command("faults", faults=[fault])
        output = server.tsql("SELECT 1", encryption)
        assert f"Msg {number}" in output, output


SHARED_CHECKS = [
    check_types, check_result_sets, check_variant, check_parameters, check_transactions, check_diagnostics,
    check_views, check_denied, check_wrong_password, check_login_errors, check_query_errors,
]


def all_checks(server):
    """Name and action of each check that runs against a server with the default encryption."""
    for tls in (False, True):
        for check in SHARED_CHECKS:
            yield f"python-tds {'tls' if tls else 'clear'} {check.__name__[6:]}", lambda c=check, t=tls: c(server, t)
    for encryption in ("off", "request", "require"):
        yield f"tsql encryption={encryption}", lambda e=encryption: check_tsql(server, e)
    yield "openssl trusts its certificate by its name", lambda: check_certificate(server)
    yield "tsql is answered with what is no tls", lambda: check_garbage_instead_of_tls(server)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check.py path/to/sqlservr")
    passed, failed = 0, 0

    def run(name, action):
        nonlocal passed, failed
        try:
            action()
        except Exception:  # whatever a client raises is a failed check
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"ok     {name}", flush=True)

    with StandIn(sys.argv[1]) as server:
        for name, action in all_checks(server):
            run(name, action)
            heal(server)
    with StandIn(sys.argv[1], "--encryption", "on") as server:
        for encryption in ("request", "require"):
            run(f"tsql encryption={encryption} on a server that prefers tls", lambda e=encryption: check_tsql(server, e))
            heal(server)
        run("python-tds on a server that prefers tls", lambda: check_result_sets(server, True))
    with StandIn(sys.argv[1], "--encryption", "required") as server:
        run("python-tds on a server that insists on tls", lambda: check_result_sets(server, True))
        for encryption in ("request", "require"):
            run(f"tsql encryption={encryption} on a server that insists on tls", lambda e=encryption: check_tsql(server, e))
            heal(server)
    with StandIn(sys.argv[1], "--encryption", "not-supported") as server:
        run("tsql that insists on tls is refused by a server without", lambda: check_refused(server, "require"))
        run("tsql on a server without tls", lambda: check_tsql(server, "off"))
        run("python-tds on a server without tls", lambda: check_result_sets(server, False))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
