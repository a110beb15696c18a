"""The servlet behind Telamon, by grpcio: several replicas, each on an address of its own, in one process.

One process on purpose: the replicas then share one event loop and are equally fast, so that what the shares show is the balance
and not the machine. It keeps what it saw of each call that bears a key, and tells it over a control socket, a JSON object a line.
"""

import argparse
import asyncio
import collections
import hashlib
import json
import os
import signal
import sys

sys.path.insert(0, os.environ["FOREIGN_GENERATED"])

import grpc
from google.api import httpbody_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection
from probe.v1 import probe_pb2, probe_pb2_grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}
DETAILS = "grpc-status-details-bin"


class Journal:
    """What was seen, by key, and who waits for more of it."""

    def __init__(self):
        self.events = collections.defaultdict(list)
        self.served = collections.Counter()
        self.held = collections.defaultdict(asyncio.Event)
        self.changed = asyncio.Condition()

    async def add(self, key, **event):
        if key:
            self.events[key].append(event)
            async with self.changed:
                self.changed.notify_all()

    async def wait(self, key, name, limit):
        def there():
            return any(event["event"] == name for event in self.events[key])

        try:
            async with self.changed:
                await asyncio.wait_for(self.changed.wait_for(there), limit)
        except TimeoutError:
            pass
        return self.events[key]


class Seen:
    """Keeps how one call begins and ends."""

    def __init__(self, journal, replica, method, context, key=""):
        self.journal, self.replica, self.method, self.context = journal, replica, method, context
        self.metadata = collections.defaultdict(list)
        for name, value in context.invocation_metadata() or ():
            self.metadata[name].append(value if isinstance(value, str) else value.hex())
        self.key = key or self.metadata.get("x-key", [""])[0]

    async def __aenter__(self):
        remaining = self.context.time_remaining()
        await self.note(
            "start", replica=self.replica, method=self.method, metadata=self.metadata, remaining=remaining, peer=self.context.peer()
        )
        return self

    async def __aexit__(self, kind, error, trace):
        # A write into a call that is gone fails before its cancellation is told; only what the servlet itself ends is a failure.
        how = "ok" if kind is None else "failed" if issubclass(kind, grpc.aio.AbortError) else "cancelled"
        if how == "ok" and self.method in ("Collect", "Chat"):
            # To grpcio the messages of a cancelled call end as if the caller had sent its last; the cancellation follows at once.
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                how = "cancelled"
        self.journal.served[self.replica] += how == "ok"
        # Shielded: a cancelled call must still be written down.
        await asyncio.shield(self.note(how))
        await asyncio.shield(self.note("end", how=how))

    async def note(self, name, **more):
        await self.journal.add(self.key, event=name, **more)


class Probe(probe_pb2_grpc.ProbeServicer):
    def __init__(self, replica, journal):
        self.replica, self.journal = replica, journal

    async def Unary(self, ask, context):
        return await self.unary("Unary", ask, context)

    async def Plain(self, ask, context):
        return await self.unary("Plain", ask, context)

    async def Look(self, ask, context):
        return await self.unary("Look", ask, context)

    async def unary(self, method, ask, context):
        async with Seen(self.journal, self.replica, method, context, ask.key) as seen:
            await self.echo(context, ask)
            await self.work(ask)
            await self.fail(ask, context)
            return self.answer(ask, 0)

    async def Expand(self, ask, context):
        async with Seen(self.journal, self.replica, "Expand", context, ask.key) as seen:
            await self.echo(context, ask)
            for index in range(ask.count):
                await self.work(ask, held=False)
                await context.write(self.answer(ask, index))
                await seen.note("sent")
            if ask.hold:
                await self.journal.held[ask.key].wait()
            await self.fail(ask, context)

    async def Collect(self, requests, context):
        """Joins the texts. `hold` in the first message stops the reading until the test says so."""
        async with Seen(self.journal, self.replica, "Collect", context) as seen:
            texts, length, last = [], 0, probe_pb2.Ask()
            async for ask in requests:
                texts.append(ask.text)
                length += len(ask.payload)
                last = ask
                await seen.note("received")
                await self.work(ask)
            await self.echo(context, last)
            await self.fail(last, context)
            return probe_pb2.Answer(replica=self.replica, text=",".join(texts), length=length, index=len(texts))

    async def Chat(self, requests, context):
        async with Seen(self.journal, self.replica, "Chat", context) as seen:
            await self.echo(context, probe_pb2.Ask())
            index = 0
            async for ask in requests:
                await seen.note("received")
                await self.work(ask)
                await self.fail(ask, context)
                await context.write(self.answer(ask, index))
                index += 1

    async def Download(self, ask, context):
        async with Seen(self.journal, self.replica, "Download", context, ask.key):
            return httpbody_pb2.HttpBody(content_type="text/csv", data=b"name\n" + ask.text.encode() + b"\n")

    async def Upload(self, request, context):
        async with Seen(self.journal, self.replica, "Upload", context):
            text = f"{request.name} {request.file.content_type}"
            return probe_pb2.Answer(replica=self.replica, text=text, length=len(request.file.data), payload=request.file.data[:64])

    async def Store(self, requests, context):
        """Tells how much came, of what type and with which hash."""
        async with Seen(self.journal, self.replica, "Store", context):
            kinds, length, digest = [], 0, hashlib.sha256()
            async for body in requests:
                kinds.append(body.content_type)
                length += len(body.data)
                digest.update(body.data)
            return probe_pb2.Answer(text="".join(kinds), length=length, index=len(kinds), payload=digest.digest())

    async def Fetch(self, ask, context):
        """`count` pieces of `size` bytes."""
        async with Seen(self.journal, self.replica, "Fetch", context, ask.key):
            for index in range(ask.count):
                yield httpbody_pb2.HttpBody(content_type="" if index else ask.text, data=bytes([index % 256]) * ask.size)
            await self.fail(ask, context)

    async def echo(self, context, ask):
        """Gives back what begins with x-echo, in the head and in the trailers."""
        if ask.gzip:
            context.set_compression(grpc.Compression.Gzip)
            await context.send_initial_metadata(())
        echo = [(name.removeprefix("x-echo-"), value) for name, value in context.invocation_metadata() or () if name.startswith("x-echo-")]
        if echo:
            context.set_trailing_metadata(tuple(("x-trailer-" + name, value) for name, value in echo))
            await context.send_initial_metadata(tuple(("x-head-" + name, value) for name, value in echo))

    async def work(self, ask, held=True):
        if ask.delay_ms:
            await asyncio.sleep(ask.delay_ms / 1000)
        if held and ask.hold:
            await self.journal.held[ask.key].wait()

    async def fail(self, ask, context):
        if not ask.fail_code:
            return
        trailers = tuple(context.trailing_metadata() or ())
        details = [probe_pb2.Note(text=note) for note in ask.notes]
        if ("x-details", "standard") in tuple(context.invocation_metadata() or ()):
            details += standard_details()
        if details:
            status = status_pb2.Status(code=ask.fail_code, message=ask.fail_message)
            for detail in details:
                status.details.add().Pack(detail)
            trailers += ((DETAILS, status.SerializeToString()),)
        await context.abort(CODES[ask.fail_code], ask.fail_message, trailing_metadata=trailers)

    def answer(self, ask, index):
        payload = bytes(ask.size) if ask.size else ask.payload
        answer = probe_pb2.Answer(
            replica=self.replica, text=ask.text, index=index, payload=payload, big=ask.big, color=ask.color, length=len(ask.payload)
        )
        for name in ("when", "took", "nested"):
            if ask.HasField(name):
                getattr(answer, name).CopyFrom(getattr(ask, name))
        return answer


def standard_details():
    """What google/rpc/error_details.proto has for everybody; no .proto of this servlet imports it."""
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)
    why = error_details_pb2.ErrorInfo(reason="FULL", domain="probe.example", metadata={"shelf": "3"})
    wrong = error_details_pb2.BadRequest(field_violations=[{"field": "text", "description": "is empty"}])
    return [why, retry, wrong]


class Replicas:
    def __init__(self, journal):
        self.journal, self.servers, self.addresses = journal, {}, {}

    async def start(self, name, address):
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", 8 << 20),
                ("grpc.max_send_message_length", 8 << 20),
                # As strict as grpcio is by default, written down: a proxy that pings too much is sent away.
                ("grpc.http2.max_ping_strikes", 2),
            ]
        )
        probe_pb2_grpc.add_ProbeServicer_to_server(Probe(name, self.journal), server)
        if name.startswith("reflecting"):
            names = [service.full_name for service in probe_pb2.DESCRIPTOR.services_by_name.values()]
            reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
        port = server.add_insecure_port(address)
        await server.start()
        self.servers[name] = server
        self.addresses[name] = address if address.startswith("unix:") else f"127.0.0.1:{port}"

    async def stop(self, name, grace):
        await self.servers.pop(name).stop(grace)


async def control(journal, replicas, reader, writer):
    """Answers one JSON object a line."""
    while line := await reader.readline():
        ask = json.loads(line)
        match ask.pop("do"):
            case "seen":
                answer = journal.events[ask["key"]]
            case "wait":
                answer = await journal.wait(ask["key"], ask["event"], ask["limit"])
            case "served":
                answer = dict(journal.served)
            case "release":
                journal.held[ask["key"]].set()
                answer = None
            case "start":
                await replicas.start(ask["name"], ask["address"])
                answer = replicas.addresses[ask["name"]]
            case "stop":
                await replicas.stop(ask["name"], ask["grace"])
                answer = None
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("replicas", nargs="+", help="NAME=ADDRESS; port 0 is any free one")
    journal = Journal()
    replicas = Replicas(journal)
    for replica in parser.parse_args().replicas:
        await replicas.start(*replica.split("=", 1))
    server = await asyncio.start_server(lambda *ends: control(journal, replicas, *ends), "127.0.0.1", 0, limit=1 << 20)
    print(json.dumps({"control": server.sockets[0].getsockname()[1], "replicas": replicas.addresses}), flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await asyncio.gather(*(server.stop(0) for server in replicas.servers.values()))


asyncio.run(main())
