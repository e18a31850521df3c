"""HubSnapshot: the model cards, `.eval_results` and the Hub's leaderboard of one data set.

card_reader.py parses its content. Cards are cached by commit, so that an interrupted crawl can be
continued and a later one downloads only what has changed. JSON is read directly, since the client's
`ModelInfo` fails for all models when one has a broken entry.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from audio_cls.errors import HubError
from audio_cls.publishing.hub.retry import Failure, is_outage, retry, to_reason
from audio_cls.publishing.leaderboard.card_reader import Card, read_card
from audio_cls.publishing.run_record import is_repo_id
from audio_cls.storage.cache import cache_json, read_cached_json
from audio_cls.storage.keys import make_key

logger = logging.getLogger(__name__)

MAX_CARD = 2**20  # bytes read of a card
MAX_PAGES = 200  # pages of a listing
MAX_ANCESTORS = 5  # generations of base models that are read
BASE_HOURS = 24.0  # for which a base model's cached card is used
EXPAND = ("sha", "cardData", "evalResults")  # of a listing
TIMEOUT = 30.0  # seconds without data
FORBIDDEN = (401, 403)
REFUSED = (
    *FORBIDDEN,
    404,
    410,
)  # a gated or deleted repository is not an outage


@dataclass(frozen=True)
class ListedModel:
    """One model that names the data set."""

    id: str
    card: Card
    eval_results: list[Any]  # as the Hub parsed .eval_results/*.yaml; nothing in it is checked


@dataclass(frozen=True)
class HubSnapshot:
    """The reported results of a data set's models at one moment."""

    dataset: str
    models: list[ListedModel]
    sizes: Mapping[tuple[str, str], int]  # (config, split) -> clips, from the data set's card
    board: list[Mapping[str, Any]] | None  # rows of the Hub's leaderboard; None: it has none
    shown_by_default: frozenset[str] = frozenset()  # models that its default view lists
    parents: Mapping[str, Card] = field(default_factory=dict)  # base model -> its card


def crawl_hub(dataset: str, base_models: Sequence[str] = ()) -> HubSnapshot:
    """Read every model that names a data set. Online; cards are cached as "model_cards".

    Args:
        dataset: The data set's id.
        base_models: Base models to read in addition to those of the models found.

    Raises:
        HubError: There is no such data set, or the Hub stopped responding; cards read are cached.
    """
    reader = HubReader()
    try:
        info = reader.find(f"/api/datasets/{dataset}", {"expand": ["cardData"]})
        if info is None:
            raise HubError(
                f"The Hub has no data set '{dataset}' that you can access. Give --dataset"
                " OWNER/NAME as on its page, or log in: hf auth login"
            )
        board, default = reader.read_board(dataset)
        rows = reader.list_models(dataset)
        listed = {str(row["id"]) for row in rows}
        absent = sorted({str(row["modelId"]) for row in board or []} - listed)
        rows += [row for name in absent if (row := reader.find_model(name)) is not None]
        models = reader.read_models(rows)
        parents = reader.read_parents([*_list_parents(models), *base_models])
    except HubError:
        raise
    except Failure as error:
        if not is_outage(error):
            raise HubError(
                f"The Hub refuses the request for '{dataset}': {to_reason(error)}. Log in (hf auth"
                " login), or choose another --dataset."
            ) from error
        raise HubError(
            f"The Hub stopped responding after {reader.num_read} cards ({to_reason(error)}). They"
            " are cached: run the same command to continue."
        ) from error
    sizes = read_sizes(info.get("cardData"))
    return HubSnapshot(dataset, models, sizes, board, frozenset(default), parents)


def _list_parents(models: list[ListedModel]) -> list[str]:
    """Return the base models that the cards name."""
    return [parent for model in models for parent in model.card.base_models]


def read_sizes(card: object) -> dict[tuple[str, str], int]:
    """Return the number of clips of each split from a data set's card.

    >>> read_sizes({"dataset_info": {"splits": [{"name": "test", "num_examples": 300}]}})
    {('default', 'test'): 300}
    """
    given = card.get("dataset_info") if isinstance(card, Mapping) else None
    sizes = {}
    for part in given if isinstance(given, list) else [given]:
        if not isinstance(part, Mapping) or not isinstance(part.get("splits"), list):
            continue
        for split in part["splits"]:
            count = split.get("num_examples") if isinstance(split, Mapping) else None
            if isinstance(count, int) and count > 0:
                name = str(part.get("config_name") or "default")
                sizes[name, str(split.get("name"))] = count
    return sizes


class HubReader:
    """Reads from the Hub, one request at a time; model cards are cached."""

    num_read = 0  # cards

    def get(self, url: str, query: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 (JSON)
        """Return (JSON, URL of the next page or None); retried after outages and rate limits."""

        def ask() -> tuple[Any, str | None]:
            address = url if "://" in url else f"{constants.ENDPOINT}{url}"
            answer = get_session().get(
                address, headers=build_hf_headers(), params=query, timeout=TIMEOUT
            )
            hf_raise_for_status(answer)
            return answer.json(), answer.links.get("next", {}).get("url")

        return retry(ask)

    def find(self, url: str, query: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a JSON object; None where it does not exist or may not be read."""
        try:
            found, _ = self.get(url, query)
        except HfHubHTTPError as error:
            if error.response.status_code in REFUSED:
                return None
            raise
        return found if isinstance(found, dict) else None

    def list_models(self, dataset: str) -> list[dict[str, Any]]:
        """List the models that are tagged with the data set: id, sha, card data, results."""
        query: dict[str, Any] | None = {"filter": f"dataset:{dataset}", "expand": list(EXPAND)}
        rows: list[dict[str, Any]] = []
        url: str | None = "/api/models"
        for _ in range(MAX_PAGES):
            if url is None:
                break
            page, url = self.get(url, query)
            query = None  # the next page's address has its own
            if url is not None and not url.startswith(f"{constants.ENDPOINT}/"):
                url = None  # a token goes to the Hub only
            rows += [row for row in page if _is_model(row)]
        return rows

    def find_model(self, name: str) -> dict[str, Any] | None:
        """Return one model's row of `list_models`."""
        if not is_repo_id(name):
            return None
        row = self.find(f"/api/models/{name}", {"expand": list(EXPAND)})
        return row if row is not None and _is_model(row) else None

    def read_board(self, dataset: str) -> tuple[list[Mapping[str, Any]] | None, set[str]]:
        """Return the Hub's leaderboard, fine-tuned models included, and its default's models."""
        lists: list[list[Mapping[str, Any]]] = []
        for base_model in ("false", "true"):
            url = f"/api/datasets/{dataset}/leaderboard"
            try:
                found, _ = self.get(url, {"base_model": base_model})
            except HfHubHTTPError as error:
                if is_outage(error):
                    raise
                return None, set()  # it is not a benchmark
            rows = found if isinstance(found, list) else []
            lists.append(
                [r for r in rows if isinstance(r, dict) and is_repo_id(str(r.get("modelId")))]
            )
        return lists[0], {str(row["modelId"]) for row in lists[1]}

    def read_models(self, rows: list[dict[str, Any]]) -> list[ListedModel]:
        """Read every model's card, from the cache if its commit is cached."""
        models = []
        for number, row in enumerate(rows, start=1):
            card = self.read_card(row)
            results = row.get("evalResults")
            models.append(
                ListedModel(row["id"], card, results if isinstance(results, list) else [])
            )
            if number % 100 == 0:
                logger.info("%d of %d cards read.", number, len(rows))
        return models

    def read_card(self, row: Mapping[str, Any]) -> Card:
        """Return one card; of a gated model only its metadata, from the listing."""
        name, sha = str(row["id"]), str(row.get("sha"))
        key = make_key(endpoint=constants.ENDPOINT, card=name, sha=sha)
        kept = read_cached_json("model_cards", key)
        if kept is None:
            text, is_forbidden = retry(lambda: _fetch_text(f"{name}/resolve/{sha}/README.md"))
            kept = {"text": text}
            if not is_forbidden:
                cache_json("model_cards", key, kept)
        self.num_read += 1
        text = kept.get("text")
        return read_card(text) if isinstance(text, str) else Card(row.get("cardData"), None)

    def read_parents(self, names: list[str]) -> dict[str, Card]:
        """Read the cards of base models, and of their base models."""
        parents: dict[str, Card] = {}
        for _ in range(MAX_ANCESTORS):
            new = [n for n in dict.fromkeys(names) if n not in parents and is_repo_id(n)]
            for name in new:
                parents[name] = self._read_parent(name)
            names = [parent for name in new for parent in parents[name].base_models]
        return parents

    def _read_parent(self, name: str) -> Card:
        """Return a base model's metadata, requested once a day."""
        key = make_key(endpoint=constants.ENDPOINT, base=name)
        kept = read_cached_json("model_cards", key)
        if kept is None or time.time() - kept["time"] > BASE_HOURS * 3600:
            row = self.find(f"/api/models/{name}", {"expand": ["cardData"]}) or {}
            kept = {"time": time.time(), "data": row.get("cardData")}
            cache_json("model_cards", key, kept)
        return Card(kept.get("data"), None)


def _is_model(row: object) -> bool:
    """Return whether a row of a listing is a model."""
    return isinstance(row, dict) and isinstance(row.get("id"), str) and is_repo_id(row["id"])


def _fetch_text(path: str) -> tuple[str | None, bool]:
    """Download the beginning of a text file.

    Returns:
        The text, None where there is none; and whether access was denied, which may change with a
        login or with the consent to the terms of a gated repository.
    """
    url = f"{constants.ENDPOINT}/{path}"
    content = b""
    with get_session().stream(
        "GET", url, headers=build_hf_headers(), timeout=TIMEOUT, follow_redirects=False
    ) as answer:
        if answer.status_code in REFUSED or answer.is_redirect:
            return None, answer.status_code in FORBIDDEN
        hf_raise_for_status(answer)
        for piece in _limit(answer.iter_bytes()):
            content += piece
    return content[:MAX_CARD].decode("utf-8", errors="replace"), False


def _limit(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces until `MAX_CARD` bytes are reached."""
    size = 0
    for piece in pieces:
        yield piece
        size += len(piece)
        if size >= MAX_CARD:
            return
