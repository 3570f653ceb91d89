// Crawlee's local storage as people use it: `node local.mjs write|read FOLDER`.
// It knows nothing of storectl; see test_local.py. What it reads goes to stdout as JSON.

import { readdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryStorage } from '@crawlee/memory-storage';

const [verb, folder, metadata] = process.argv.slice(2);
const storage = new MemoryStorage({
    localDataDirectory: folder,
    persistStorage: true,
    writeMetadata: metadata === 'metadata',
});

async function write() {
    for (const name of ['default', 'prices']) {
        const made = await storage.datasets().getOrCreate(name);
        const dataset = storage.dataset(made.id);
        for (let n = 0; n < 30; n++) {
            await dataset.pushItems([{ n, name, 'ú': 'é\n"', z: [], a: { b: null, c: 0.1 + n } }]);
        }
        await dataset.pushItems([{}, { '#hidden': 1e21, big: 12345678901234567000 }]);
    }
    const files = storage.keyValueStore((await storage.keyValueStores().getOrCreate('default')).id);
    const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255, 10, 13]);
    for (const record of [
        { key: 'OUTPUT', value: { a: [1, 2.5], b: 'é' } },
        { key: 'text', value: 'plain é' },
        { key: 'shot', value: png, contentType: 'image/png' },
        { key: 'photo', value: png, contentType: 'image/jpeg' },
        { key: 'page', value: '<p>é</p>', contentType: 'text/html; charset=utf-8' },
        { key: 'table', value: 'a,b\n1,2\n', contentType: 'text/csv; charset=utf-8' },
        { key: 'feed', value: '<a/>', contentType: 'application/xml' },
        { key: 'linked', value: '{"@id":1}', contentType: 'application/ld+json' },
        { key: 'bytes', value: Buffer.from([0, 1, 2, 255]) },
        { key: "we'ird(1)!", value: 'x' },
        { key: 'dots.in.it', value: { a: 1 } },
        { key: 'empty', value: '' },
    ]) {
        await files.setRecord(record);
    }
    const made = await storage.requestQueues().getOrCreate('default');
    const queue = storage.requestQueue(made.id);
    for (let n = 0; n < 12; n++) {
        const url = `https://example.com/${n}`;
        const more = n === 3 ? { method: 'POST', payload: 'é', headers: { A: 'b' } } : {};
        await queue.addRequest({ url, uniqueKey: url, userData: { n, label: 'A' }, ...more });
        await new Promise((done) => setTimeout(done, 2));
    }
    for (const name of ['front', 'very-front']) {
        const url = `https://example.com/${name}`;
        await queue.addRequest({ url, uniqueKey: url }, { forefront: true });
        await new Promise((done) => setTimeout(done, 2));
    }
    const all = (await queue.listHead({ limit: 100 })).items;
    const [first, second] = ['5', '6'].map((n) => all.find((one) => one.url.endsWith(`/${n}`)));
    await queue.updateRequest({ ...first, handledAt: new Date().toISOString(), retryCount: 1 });
    await queue.updateRequest({ ...second, retryCount: 2, errorMessages: ['no'] });
}

async function read() {
    const found = { datasets: {}, records: {}, queues: {} };
    for (const name of names('datasets')) {
        const { id } = await storage.datasets().getOrCreate(name);
        found.datasets[name] = (await storage.dataset(id).listItems()).items;
    }
    for (const name of names('key_value_stores')) {
        const { id } = await storage.keyValueStores().getOrCreate(name);
        const store = storage.keyValueStore(id);
        found.records[name] = {};
        for (const { key } of (await store.listKeys()).items) {
            const record = await store.getRecord(key, { buffer: true });
            found.records[name][key] = [record.contentType, record.value.toString('base64')];
        }
    }
    for (const name of names('request_queues')) {
        const made = await storage.requestQueues().getOrCreate(name);
        const queue = storage.requestQueue(made.id);
        const files = readdirSync(join(folder, 'request_queues', name));
        const ids = files.filter((file) => !file.startsWith('__')).map((file) => file.slice(0, -5));
        const requests = {};
        for (const id of ids) requests[id] = await queue.getRequest(id);
        const head = (await queue.listHead({ limit: 100 })).items.map(({ url }) => url).sort();
        const { handledRequestCount, pendingRequestCount } = await queue.get();
        const again = await queue.addRequest({ url: 'https://example.com/5', uniqueKey: 'https://example.com/5' });
        found.queues[name] = { requests, head, again: again.wasAlreadyHandled, handledRequestCount, pendingRequestCount };
    }
    process.stdout.write(JSON.stringify(found));
}

function names(kind) {
    const path = join(folder, kind);
    return existsSync(path) ? readdirSync(path).sort() : [];
}

await (verb === 'write' ? write() : read());
await storage.teardown();
