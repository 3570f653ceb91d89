// Libraries for Node that keep storages in a folder, at the jobs that storectl's engine is timed at.
//
// node peer_node.mjs LIBRARY push|read FOLDER FILE COUNT    # of JSON lines
// node peer_node.mjs LIBRARY add|lock  FOLDER FILE COUNT    # of URLs
// node peer_node.mjs LIBRARY set|get   FOLDER RECORDS COUNT # files of a folder
//
// LIBRARY: storage-local, memory-storage, or storage-local+flush, whose commits are flushed to the
// disk, as it does not do by itself. The first COUNT are taken. Prints the seconds of the loop
// alone, once a client that is opened anew has found all of it. It imports from .bench/node.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [library, job, folder, source, many] = process.argv.slice(2);
const count = Number(many);
const require = createRequire(new URL('../.bench/node/here', import.meta.url));
process.env.APIFY_LOG_LEVEL = '1'; // errors;

function open() {
    if (library.startsWith('storage-local')) {
        const { ApifyStorageLocal } = require('@apify/storage-local');
        return new ApifyStorageLocal({ storageDir: folder });
    }
    const { MemoryStorage } = require('@crawlee/memory-storage');
    return new MemoryStorage({ localDataDirectory: folder, writeMetadata: true });
}

function reopened(client) {
    client.dbConnections?.closeAllConnections();
    return open();
}

async function queue(client) {
    const { id } = await client.requestQueues().getOrCreate('b');
    if (library.endsWith('+flush')) {
        for (const each of client.dbConnections.connections.values()) each.pragma('synchronous = FULL');
    }
    return client.requestQueue(id);
}

const dataset = async (client) => client.dataset((await client.datasets().getOrCreate('b')).id);
const store = async (client) => client.keyValueStore((await client.keyValueStores().getOrCreate('b')).id);

const lines = () => readFileSync(source, 'utf8').trimEnd().split('\n').slice(0, count);
const requests = () => lines().map((url) => ({ url, uniqueKey: url, userData: { depth: 1 } }));
const items = () => lines().map((line) => JSON.parse(line));
const records = () => new Map(readdirSync(source).sort().slice(0, count)
    .map((key) => [key, readFileSync(join(source, key))]));

function* cut(things, atOnce) {
    for (let at = 0; at < things.length; at += atOnce) yield things.slice(at, at + atOnce);
}

async function timed(work, client) {
    const start = performance.now();
    const found = await work();
    await client.teardown?.(); // what it still writes in the background
    return [(performance.now() - start) / 1000, found];
}

async function add(to, all) {
    for (const batch of cut(all, 25)) await to.batchAddRequests(batch);
}

async function push(to, all) {
    for (const batch of cut(all, 1000)) await to.pushItems(batch);
}

async function set(to, all) {
    for (const [key, value] of all) {
        await to.setRecord({ key, value, contentType: 'application/octet-stream' });
    }
}

async function handleAll(to) {
    const handled = [];
    for (;;) {
        const { items: locked } = await to.listAndLockHead({ limit: 25, lockSecs: 600 });
        if (!locked.length) return handled;
        for (const request of locked) {
            await to.updateRequest({ ...request, handledAt: new Date().toISOString() });
            handled.push(request.url);
        }
    }
}

async function readPages(from) {
    const found = [];
    for (let offset = 0; offset < count; offset += 1000) {
        found.push(...(await from.listItems({ offset, limit: 1000 })).items);
    }
    return found;
}

async function readRecords(from, keys) {
    const found = new Map();
    for (const key of keys) found.set(key, (await from.getRecord(key, { buffer: true })).value);
    return found;
}

const jobs = {
    async push(client) {
        const [to, all] = [await dataset(client), items()];
        const [secs] = await timed(() => push(to, all), client);
        assert.deepEqual(await readPages(await dataset(reopened(client))), all);
        return secs;
    },
    async read(client) {
        const all = items();
        await push(await dataset(client), all);
        const again = reopened(client);
        const from = await dataset(again);
        const [secs, found] = await timed(() => readPages(from), again);
        assert.deepEqual(found, all);
        return secs;
    },
    async add(client) {
        const [to, all] = [await queue(client), requests()];
        const [secs] = await timed(() => add(to, all), client);
        const head = await (await queue(reopened(client))).listHead({ limit: count });
        assert.deepEqual(head.items.map(({ url }) => url).sort(), lines().sort());
        return secs;
    },
    async lock(client) {
        const to = await queue(client);
        await add(to, requests());
        const [secs, handled] = await timed(() => handleAll(to), client);
        assert.deepEqual(handled.sort(), lines().sort());
        const head = await (await queue(reopened(client))).listHead({ limit: count });
        assert.equal(head.items.length, 0);
        return secs;
    },
    async set(client) {
        const [to, all] = [await store(client), records()];
        const [secs] = await timed(() => set(to, all), client);
        assert.deepEqual(await readRecords(await store(reopened(client)), all.keys()), all);
        return secs;
    },
    async get(client) {
        const all = records();
        await set(await store(client), all);
        const again = reopened(client);
        const from = await store(again);
        const [secs, found] = await timed(() => readRecords(from, all.keys()), again);
        assert.deepEqual(found, all);
        return secs;
    },
};

console.log(await jobs[job](open()));
