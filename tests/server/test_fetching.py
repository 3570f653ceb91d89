"""The server calls nobody, whatever addresses it is given."""

from __future__ import annotations

import socket

import httpx


def test_nothing_that_a_caller_names_is_fetched(api: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        trap = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
        queue = api.post("/v2/request-queues").json()["data"]["id"]
        box = api.post("/v2/key-value-stores").json()["data"]["id"]
        dataset = api.post("/v2/datasets").json()["data"]["id"]

        with_schema = api.post("/v2/datasets", json={"schema": {"fields": {"$ref": trap}}})
        answers = [
            api.post(f"/v2/request-queues/{queue}/requests", json={"url": trap, "uniqueKey": trap}),
            api.post(f"/v2/request-queues/{queue}/head/lock?lockSecs=60"),
            api.put(f"/v2/key-value-stores/{box}/records/k", json={"$ref": trap}),
            api.post(f"/v2/datasets/{dataset}/items", json=[{"url": trap, "$ref": trap}]),
            api.get(f"/v2/datasets/{dataset}/items?format=rss&feedTitle={trap}"),
            api.get("/v2/datasets", headers={"Origin": trap, "Referer": trap}),
        ]

        assert with_schema.status_code == 400
        assert all(answer.is_success for answer in answers)
        try:
            caller, _ = listener.accept()
        except BlockingIOError:
            return
        caller.close()
        raise AssertionError("the server called an address it was given")
