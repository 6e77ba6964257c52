"""A stand-in for an MLflow server, on a real socket, that can fail in the ways of a real one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

RUN = {"run_id": "r" * 32, "run_uuid": "r" * 32, "experiment_id": "1", "status": "RUNNING"}
RUN |= {
    "artifact_uri": "mlflow-artifacts:/1/r/artifacts",
    "start_time": "1",
    "lifecycle_stage": "active",
}
EXPERIMENT = {"experiment_id": "1", "name": "e", "lifecycle_stage": "active"}
ANSWERS: dict[str, Any] = {
    "experiments/search": {"experiments": [EXPERIMENT]},
    "experiments/get-by-name": {"experiment": EXPERIMENT},
    "runs/create": {"run": {"info": RUN, "data": {}}},
    "runs/get": {"run": {"info": RUN, "data": {}}},
    "runs/search": {"runs": []},
    "runs/log-batch": {},
    "runs/update": {"run_info": RUN},
}


class StandIn(ThreadingHTTPServer):
    """What it was told is in `told`; in `mode` it is `sound`, or it will `hang` or `fail`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode = "sound"
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.over = threading.Event()

    def metrics(self) -> list[float]:
        """Values of all metrics that arrived, but for those of the system."""
        batches = [said for place, said in self.told if place == "runs/log-batch"]
        metrics = [metric for said in batches for metric in said.get("metrics", ())]
        return [m["value"] for m in metrics if not m["key"].startswith("system/")]

    def last_status(self) -> str:
        """What the run was last set to."""
        return str([said for place, said in self.told if place == "runs/update"][-1]["status"])


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = urlparse(self.path).path.partition("/mlflow/")[2]
        if self.server.mode == "hang":
            self.server.over.wait()
            return
        if self.server.mode == "fail" or place not in ANSWERS:
            self.send_error(503 if self.server.mode == "fail" else 404)
            return
        self.server.told.append((place, json.loads(body or b"{}")))
        answer = json.dumps(ANSWERS[place]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def mlflow_server() -> Iterator[StandIn]:
    """Serves while the block runs."""
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
