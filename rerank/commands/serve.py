"""`rerank serve`: a reranker behind HTTP, for the clients that applications already have."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rerank import printing
from rerank.errors import UsageError, needing

if TYPE_CHECKING:
    from rerank.library.reranker import Reranker
    from rerank.server.limits import Limits

KEEP_ALIVE = 75
"""Seconds that an idle connection stays: longer than clients keep theirs, so that none is cut."""

LOOPBACK = ("127.0.0.1", "::1")


def serve(
    model: Annotated[
        str, typer.Argument(help="A model folder, a hub id or boxed, which comes along.")
    ] = "boxed",
    method: Annotated[str, typer.Option(help="A row of `rerank methods`, or auto.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, vllm, http, transformers or scorer.")] = "auto",
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible server.")] = None,
    instruction: Annotated[str | None, typer.Option(help="Instead of the prompt's own.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="From `rerank calibrate`: answer with probabilities.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 8000,
    api_key: Annotated[
        str | None, typer.Option(envvar="RERANK_API_KEY", help="What clients must bring.")
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request.")] = 4 * 2**20,
    max_documents: Annotated[int, typer.Option(min=1, help="Documents of a request.")] = 1000,
    max_characters: Annotated[int, typer.Option(min=1, help="Of a document.")] = 200_000,
    max_waiting: Annotated[int, typer.Option(min=1, help="Requests at once; more get 429.")] = 512,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for a request.")] = 60.0,
    fallback: Annotated[
        bool, typer.Option("--fallback", help="Where the model fails, the order as it came.")
    ] = False,
) -> None:
    """Serve rerank and score over HTTP, for Cohere, Jina, vLLM, TEI, Voyage and NIM clients."""
    from rerank.library.reranker import Reranker
    from rerank.server.limits import Limits

    _web()  # what is missing is said before a model is loaded
    _leave_a_core()
    limits = Limits(max_body, max_documents, max_characters, timeout, max_waiting)
    with _listening(host, port) as listening:
        reranker = Reranker(
            model, method=method, engine=engine, base_url=base_url, instruction=instruction,
            api_key=os.environ.get("OPENAI_API_KEY"), calibration=calibration,
            on_error="keep" if fallback else "raise",
        )  # fmt: skip
        reranker.rerank("which is a test", ["this is", "this is not"])
        _run(reranker, _name(model), limits, api_key, listening)


def _run(
    reranker: "Reranker", name: str, limits: "Limits", key: str | None, listening: socket.socket
) -> None:
    """Answer until a signal comes, and then what was taken before it."""
    uvicorn, app = _web()
    served = app.application(app.Service(reranker, name, limits, key), reranker.close)
    config = uvicorn.Config(
        served,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
    address, port, *_ = listening.getsockname()
    if address not in LOOPBACK and key is None:
        printing.say(f"{address} can be reached by others, and no --api-key keeps them out")
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    printing.say(f"serving {name}, method {reranker.method}, at http://{where}")
    uvicorn.Server(config).run(sockets=[listening])


def _web() -> tuple[Any, Any]:
    """What speaks HTTP, and what it serves."""
    with needing("server"):
        import uvicorn

        from rerank.server import app
    return uvicorn, app


def _leave_a_core() -> None:
    """A model on a CPU computes on every core but one: clients are read and written meanwhile.

    Threads that share all cores with others wait for each other in every small operation.
    """
    cores = len(os.sched_getaffinity(0))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores - 1)))


def _listening(host: str, port: int) -> socket.socket:
    """The address taken before a model is loaded, so that one in use costs nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, UnicodeError) as wrong:
        raise UsageError(f"cannot listen at {host}, port {port}: {wrong}") from None


def _name(model: str) -> str:
    """What clients see of the model: of a folder, its name alone."""
    return Path(model).resolve().name if Path(model).exists() else model
