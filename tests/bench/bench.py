#!/usr/bin/env python3
"""bench.py BUILD - Lethe beside nginx proxy_pass, in turns, against the same
sink, one line a figure: name value unit ratio. Every rule of the Mixbot policy
is on; an event counts when it was answered 200 AND delivered. A line that
misses its bar ends in SHORT. Environment: LETHE_BENCH_ROUNDS (3),
LETHE_BENCH_SECONDS (4), LETHE_BENCH_DIR (a folder on the disk to measure)."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
os.environ["LETHE_BUILD"] = BUILD
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scenario"))
from harness import Gateway, wait_until  # noqa: E402

ROUNDS = int(os.environ.get("LETHE_BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("LETHE_BENCH_SECONDS", "4"))
SINK_PORT, PROXY_PORT = 18901, 18902
NOW = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

NGINX = """
worker_processes %(workers)d;
daemon off;
pid %(folder)s/%(name)s.pid;
error_log %(folder)s/%(name)s.err;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path %(folder)s/%(name)s-body;
  proxy_temp_path %(folder)s/%(name)s-proxy;
  fastcgi_temp_path %(folder)s/%(name)s-f; uwsgi_temp_path %(folder)s/%(name)s-u; scgi_temp_path %(folder)s/%(name)s-s;
  client_max_body_size 64m; client_body_buffer_size 4m;
  keepalive_requests 1000000000; keepalive_timeout 600;
  %(server)s
}
"""


def nginx(folder, name, workers, server):
    path = os.path.join(folder, name + ".conf")
    with open(path, "w") as f:
        f.write(NGINX % {"folder": folder, "name": name, "workers": workers, "server": server})
    return subprocess.Popen(["/usr/sbin/nginx", "-c", path, "-e", os.path.join(folder, name + ".err")])


def wrk(port, path, script, connections, mode="same"):
    done = subprocess.run(
        ["wrk", "-t1", "-c%d" % connections, "-d%ds" % SECONDS, "--latency", "--timeout", "20s",
         "-s", os.path.join(HERE, script), "http://127.0.0.1:%d%s" % (port, path), "--", NOW, path, mode],
        capture_output=True, text=True, timeout=SECONDS + 60)
    out = done.stdout
    rate = float(re.search(r"^Requests/sec:\s+([\d.]+)", out, re.M).group(1))
    p99 = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s)", out, re.M)
    scale = {"us": 1e-3, "ms": 1, "s": 1e3}[p99.group(2)]
    total = int(re.search(r"(\d+) requests in", out).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"rate": rate, "p99": float(p99.group(1)) * scale, "total": total,
            "bad": int(bad.group(1)) if bad else 0}


def start_gateway(folder):
    g = Gateway(folder=folder, start=False)
    g.conf["sites"][0]["destinations"] = [
        {"name": "any", "type": "http", "url": "http://127.0.0.1:%d/sink" % SINK_PORT, "batch": 500,
         "concurrency": 4}]
    g.conf["limits"]["body"] = "8MiB"
    with open(g.conf_path, "w") as f:
        json.dump(g.conf, f)
    g.start()
    return g


def delivered(g):
    """Wait for the queue to empty; how many were accepted by the sink."""
    wait_until("the backlog to be delivered",
               lambda: g.status()["destinations"][0]["waiting"] == 0, 120)
    return g.status()["destinations"][0]["accepted"]


def measure(g, script, connections, per_request, mode="same"):
    """Rounds in turns; events/s delivered, medians."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(wrk(PROXY_PORT, "/v1/events", script, connections, mode))
        before = delivered(g)
        start = time.monotonic()
        w = wrk(g.port, "/v1/events", script, connections, mode)
        got = delivered(g) - before
        spent = time.monotonic() - start
        w["bad_delivery"] = max(0, (w["total"] - w["bad"]) * per_request - got)
        w["delivered_rate"] = got / max(spent, SECONDS)
        ours.append(w)
    return summarise(ours), summarise(theirs)


def summarise(runs):
    return {k: statistics.median(r.get(k, 0) for r in runs)
            for k in ("rate", "p99", "bad", "bad_delivery", "delivered_rate")}


short = 0


def line(name, value, unit, ratio=None, bar=None, at_most=False):
    global short
    miss = bar is not None and (ratio > bar if at_most else ratio < bar)
    short += miss
    print("%-28s %12.1f %-9s %s%s" % (name, value, unit, "" if ratio is None else "%.2f" % ratio,
                                      " SHORT" if miss else ""), flush=True)


def singles(g, where, connections, bar, p99_bar=None):
    ours, theirs = measure(g, "post.lua", connections, 1)
    line("single_%d_%s" % (connections, where), ours["rate"], "events/s", ours["rate"] / theirs["rate"], bar)
    line("single_%d_%s_delivered" % (connections, where), ours["delivered_rate"], "events/s",
         ours["delivered_rate"] / theirs["rate"])
    line("single_%d_%s_p99" % (connections, where), ours["p99"], "ms", ours["p99"] / theirs["p99"], p99_bar, True)
    line("single_%d_%s_nginx" % (connections, where), theirs["rate"], "events/s")
    if ours["bad"] or ours["bad_delivery"]:
        line("single_%d_%s_lost" % (connections, where), ours["bad"] + ours["bad_delivery"], "events", 1, 0, True)


def batches(g, mode, bar):
    ours, theirs = measure(g, "batch.lua", 8, 500, mode)
    line("batch_500_%s" % mode, ours["rate"] * 500, "events/s", ours["rate"] / theirs["rate"], bar)
    line("batch_500_%s_delivered" % mode, ours["delivered_rate"], "events/s",
         ours["delivered_rate"] / (theirs["rate"] * 500))


def bench_program(name):
    """The small C programs beside this file print finished lines."""
    path = os.path.join(BUILD, "bench", name)
    if os.path.exists(path):
        sys.stdout.write(subprocess.run([path], capture_output=True, text=True, timeout=300).stdout)
        sys.stdout.flush()


def main():
    folder = tempfile.mkdtemp(prefix="lethe-bench-", dir=os.environ.get("LETHE_BENCH_DIR"))
    memory = tempfile.mkdtemp(prefix="lethe-bench-", dir="/dev/shm")
    servers = [
        nginx(folder, "sink", 1, "server { listen 127.0.0.1:%d; location / { return 204; } }" % SINK_PORT),
        nginx(folder, "proxy", 2, "upstream s { server 127.0.0.1:%d; keepalive 256; } server { listen 127.0.0.1:%d;"
              " location / { proxy_pass http://s; proxy_http_version 1.1; proxy_set_header Connection ''; } }"
              % (SINK_PORT, PROXY_PORT))]
    gateways = []
    try:
        time.sleep(0.5)
        g = start_gateway(folder)
        gateways.append(g)
        singles(g, "disk", 32, 0.8)
        line("sync_p50", g.status()["sync_p50_us"], "us")
        singles(g, "disk", 64, 1.0, 3)
        singles(g, "disk", 256, 1.5, 1)
        batches(g, "same", 0.25)
        batches(g, "new", 0.15)
        rss = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/%d/status" % g.process.pid).read()).group(1))
        line("memory_peak", rss / 1024.0, "MiB", rss / 1024.0 / 100, 1, True)
        g.stop()
        t = start_gateway(memory)
        gateways.append(t)
        singles(t, "tmpfs", 32, 1.0, 2)
        t.stop()
        for name in ("bench_policy", "bench_journal", "bench_optout"):
            bench_program(name)
    finally:
        for g in gateways:
            g.close()
        for s in servers:
            s.send_signal(signal.SIGTERM)
            s.wait()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(memory, ignore_errors=True)
    print("short %d" % short)


main()
