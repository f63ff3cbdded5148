"""Pages as they are asked for over HTTP, on all backends."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis
from conftest import World

from thoonk import AsyncThoonk, Thoonk
from thoonk.operations import CreateFeed, RegisterFeed

from .conftest import Browser

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


async def test_the_overview_has_all_feeds_with_their_numbers(thoonk: Thoonk, page: Browser) -> None:
    thoonk.feed("news").publish("one")
    job = thoonk.job("thumbnails")
    for number in range(3):
        job.put(f"picture {number}")
    job.get(timeout=5).stall()
    job.pause()
    response = await page.get("/")
    assert response.status_code == 200
    assert "news" in response.text
    assert "paused" in response.text
    assert 'bad" data-label="Stalled">1<' in response.text


async def test_the_overview_is_searched_sorted_and_has_pages(thoonk: Thoonk, page: Browser) -> None:
    for number in range(60):
        thoonk.feed(f"feed-{number:02}")
    thoonk.queue("mail").put_many(["a", "b"])
    first = (await page.get("/")).text
    assert "feed-00" in first
    assert "feed-55" not in first
    assert "of 61" in first
    assert "feed-55" in (await page.get("/?page=2")).text
    assert "feed-07" not in (await page.get("/?q=MAI")).text
    assert "mail" in (await page.get("/?q=MAI")).text
    rows = (await page.get("/?sort=waiting&desc=1")).text
    assert rows.index(">mail</a>") < rows.index(">feed-00</a>")
    assert "mail</a>" not in (await page.get("/?show=feed")).text
    for nonsense in ("sort=x", "page=-1", "page=999999999999", "show=x", "page=²"):
        assert (await page.get(f"/?{nonsense}")).status_code == 200


async def test_many_feeds_take_few_connections(
    one_server: World, open_page: Callable[..., Browser]
) -> None:
    with Thoonk(backend=one_server.url) as thoonk:
        for number in range(60):
            thoonk.feed(f"feed-{number:02}")
    assert "feed-49" in (await open_page(one_server.url).get("/")).text
    with redis.Redis.from_url(one_server.url) as client:
        assert len(client.client_list()) < 20


async def test_items_are_never_html(thoonk: Thoonk, page: Browser) -> None:
    thoonk.feed(EVIL, {"title": EVIL}).publish(EVIL, id=EVIL)
    thoonk.feed("json", serializer="json").publish({EVIL: [EVIL]}, id="i")
    for path, query in (
        ("/", {}),
        ("/feed", {"name": EVIL}),
        ("/item", {"name": EVIL, "id": EVIL}),
        ("/edit", {"name": EVIL, "id": EVIL}),
        ("/feed", {"name": "json"}),
        ("/feed", {"name": EVIL + "2"}),
        ("/", {"q": EVIL}),
    ):
        text = (await page.get(path, params=query)).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;alert" in text or path == "/edit"


async def test_text_json_bytes_and_images_are_shown_each_in_its_way(
    thoonk: Thoonk, page: Browser
) -> None:
    thoonk.feed("json", serializer="json").publish({"city": "Berlin", "ok": [True, None, 1.5]})
    feed = thoonk.feed("bytes", serializer="binary")
    feed.publish(bytes(range(256)))
    feed.publish(PNG, id="picture")
    json = (await page.get("/feed?name=json")).text
    assert '<span class="j-key">city</span>' in json
    assert '<span class="j-word">null</span>' in json
    listed = (await page.get("/feed?name=bytes")).text
    assert "00000010  10 11 12" in listed
    assert '/item/image?name=bytes&amp;id=picture"' in listed
    image = await page.get("/item/image?name=bytes&id=picture")
    assert (image.headers["content-type"], image.content) == ("image/png", PNG)
    assert "sandbox" in image.headers["content-security-policy"]


async def test_svg_is_no_image(thoonk: Thoonk, page: Browser) -> None:
    thoonk.feed("f").publish("<svg xmlns='http://www.w3.org/2000/svg'></svg>", id="i")
    assert (await page.get("/item/image?name=f&id=i")).status_code == 404


async def test_large_items_are_cut_and_downloaded_as_a_file(thoonk: Thoonk, page: Browser) -> None:
    text = "ä" * 500_000
    thoonk.feed("f").publish(text, id="../a b")
    shown = await page.get("/item", params={"name": "f", "id": "../a b"})
    assert "Download all 1.0 MB" in shown.text
    assert len(shown.content) < 100_000
    file = await page.get("/item/raw", params={"name": "f", "id": "../a b"})
    assert file.text == text
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"] == 'attachment; filename="a_b"'


@pytest.mark.parametrize("serializer", ["pickle", "msgpack", "json"])
async def test_what_it_cannot_decode_is_shown_as_bytes(
    thoonk: Thoonk, page: Browser, serializer: str
) -> None:
    thoonk.feed("f", serializer="binary").publish(b"\x80\x04\xff\xfe")
    thoonk.set_config("f", {"serializer": serializer})
    response = await page.get("/feed?name=f")
    assert response.status_code == 200
    assert "80 04 ff fe" in response.text


async def test_names_that_are_not_utf8_and_types_of_others(thoonk: Thoonk, page: Browser) -> None:
    name = b"caf\xe9 /..".decode("utf-8", "surrogateescape")
    thoonk.feed(name).publish("x", id=name)
    thoonk.backend.execute(CreateFeed("counter", {"type": "counter"}))
    thoonk.backend.execute(RegisterFeed("counter"))
    assert "caf\\udce9" in (await page.get("/")).text
    query = "name=caf%E9%20%2F..&id=caf%E9%20%2F.."
    assert (await page.get(f"/feed?{query}")).status_code == 200
    assert (await page.get(f"/item/raw?{query}")).text == "x"
    assert "Their items cannot be listed" in (await page.get("/feed?name=counter")).text


async def test_what_is_not_there_is_404_and_nonsense_400(page: Browser) -> None:
    assert (await page.get("/feed?name=nothing")).status_code == 404
    assert (await page.get("/item?name=nothing&id=1")).status_code == 404
    assert (await page.get("/nothing")).status_code == 404
    for nonsense in ("/feed", "/feed?name=%00", "/item?name=a", "/?" + "a=1&" * 200):
        assert (await page.get(nonsense)).status_code == 400


async def test_items_are_published_edited_and_retracted(thoonk: Thoonk, page: Browser) -> None:
    feed = thoonk.feed("f")
    where = {"name": "f"}
    done = await page.form("/edit", query=where, item="one\r\ntwo", id="i", back="/feed?name=f")
    assert done.status_code == 303
    assert feed.get_item("i") == "one\ntwo"
    assert "Published i." in (await page.get(done.headers["location"])).text
    assert "one\ntwo" in (await page.get("/edit?name=f&id=i")).text
    await page.form("/edit", query={**where, "id": "i"}, item="00 ff", hex="no")
    assert feed.get_item("i") == "00 ff"
    refused = await page.form("/edit", query=where, item="ff", hex="yes")
    assert refused.status_code == 422
    assert ">\nff</textarea>" in refused.text
    asked = await page.form("/retract", query={**where, "id": "i"}, back="/feed?name=f")
    assert asked.status_code == 200
    assert "Retract item i?" in asked.text
    assert feed.has_id("i")
    await page.form("/retract", query={**where, "id": "i"}, confirmed="yes")
    assert not feed.has_id("i")
    again = await page.form("/retract", query={**where, "id": "i"}, confirmed="yes")
    assert "note error" in (await page.get(again.headers["location"])).text


async def test_only_json_goes_into_a_feed_of_json(thoonk: Thoonk, page: Browser) -> None:
    feed = thoonk.feed("f", serializer="json")
    assert (await page.form("/edit", query={"name": "f"}, item="{no")).status_code == 422
    assert (await page.form("/edit", query={"name": "f"}, item="NaN")).status_code == 422
    await page.form("/edit", query={"name": "f"}, item='{"a": 1}')
    assert [*feed.get_all().values()] == [{"a": 1}]


@pytest.mark.parametrize("order", ["", "last"])
async def test_items_of_a_sorted_feed_go_up_and_down_by_one(
    thoonk: Thoonk, page: Browser, order: str
) -> None:
    feed = thoonk.sorted_feed("f")
    for name in "abcd":
        feed.append(name)
    text = (await page.get(f"/feed?name=f&order={order}")).text
    row = text[text.index('data-key="3"') :]
    position = row.split('name="position" value="', 1)[1].split('"', 1)[0]
    await page.form("/move", query={"name": "f", "id": "3"}, position=position)
    assert feed.get_ids() == (["1", "2", "4", "3"] if order else ["1", "3", "2", "4"])


async def test_clients_for_threads_and_for_asyncio_are_shown_and_stay_open(
    world: World, thoonk: Thoonk, open_page: Callable[..., Browser]
) -> None:
    thoonk.feed("f").publish("hello", id="i")
    page = open_page(thoonk)
    assert "hello" in (await page.get("/feed?name=f")).text
    async with AsyncThoonk(backend=world.url) as client:
        assert "hello" in (await open_page(client).get("/feed?name=f")).text
    assert thoonk.feed("f").get_item("i") == "hello"


async def test_under_a_mount_point_all_addresses_are_below_it(
    thoonk: Thoonk, world: World, open_page: Callable[..., Browser]
) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    thoonk.feed("f").publish("x")
    inner = open_page(world.url).application
    page = Browser(Starlette(routes=[Mount("/admin/jobs", inner)]))
    for path in ("/admin/jobs/", "/admin/jobs/feed?name=f"):
        text = (await page.get(path)).text
        for address in {*text.split('href="')[1:], *text.split('action="')[1:]}:
            assert address.startswith(("/admin/jobs/", "#main")), address[:80]
    style = await page.get("/admin/jobs/static/web.css")
    assert style.status_code == 200
    await page.aclose()


async def test_5000_feeds_are_sampled_once_for_all_pages(
    one_server: World, open_page: Callable[..., Browser]
) -> None:
    with Thoonk(backend=one_server.url) as client:
        pipe = one_server.raw.pipeline(transaction=False)
        for number in range(5000):
            pipe.hset(f"feed.config:f{number:04}", "type", "feed")
            pipe.sadd("feeds", f"f{number:04}")
        pipe.execute()
        client.queue("zz").put_many(["x"] * 7)
    page = open_page(one_server.url)
    began = time.monotonic()
    assert "of 5" in (await page.get("/")).text
    assert time.monotonic() - began < 40
    sampler = page.application.state.site.sampler
    calls = 0
    execute = sampler._source.backend.execute

    async def counting(operation: object) -> object:
        nonlocal calls
        calls += 1
        return await execute(operation)

    sampler._source.backend.execute = counting
    await sampler.look(["f0001", "f0002"], fresh=0)
    before = calls
    for _ in range(5):
        await sampler.look(["f0001", "f0002"], fresh=60)
    assert calls == before


async def test_when_the_backend_is_away_the_page_says_so(
    any_server: Callable[..., object], open_page: Callable[..., Browser]
) -> None:
    with any_server() as server:  # type: ignore[attr-defined]
        page = open_page(server.url)
        with Thoonk(backend=server.url) as client:
            client.feed("news").publish("x")
        assert "news" in (await page.get("/")).text
        page.application.state.site.sampler._names_at = float("-inf")
    old = await page.get("/")
    assert old.status_code == 200
    assert "news" in old.text
    assert 'role="status">\n    The backend does not answer' in old.text
    away = await page.get("/feed?name=news")
    assert away.status_code == 503
    assert "The backend does not answer" in away.text
