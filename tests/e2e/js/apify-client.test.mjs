// The official JavaScript client against a running server.
// SERVER, TOKEN and OTHER_TOKEN (of another user) come from the environment.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';

import { ApifyClient, DownloadItemsFormat } from 'apify-client';

const { SERVER, TOKEN, OTHER_TOKEN } = process.env;
const clientWith = (token) => new ApifyClient({ baseUrl: SERVER, publicBaseUrl: SERVER, token, maxRetries: 0 });
const client = clientWith(TOKEN);

const collected = async (iterable) => {
    const found = [];
    for await (const one of iterable) found.push(one);
    return found;
};
const newDataset = async () => client.dataset((await client.datasets().getOrCreate()).id);
const newStore = async () => client.keyValueStore((await client.keyValueStores().getOrCreate()).id);
const newQueue = async () => {
    const { id } = await client.requestQueues().getOrCreate();
    return (clientKey) => client.requestQueue(id, { clientKey });
};
const request = (path, more = {}) => ({ url: `http://shop.test/${path}`, uniqueKey: `http://shop.test/${path}`, ...more });
const paths = (items) => items.map(({ url }) => url.split('/').pop());
const refusedWith = (statusCode, type) => (error) => {
    assert.equal(error.statusCode, statusCode);
    if (type) assert.equal(error.type, type);
    return true;
};

test('the account', async () => {
    const own = await client.user().get();
    const seen = await clientWith(undefined).user(own.username).get();

    assert.equal(own.username, 'alice');
    assert.equal(own.effectivePlatformFeatures.STORAGE.isEnabled, true);
    assert.equal(seen.username, 'alice');
    assert.equal(seen.id, undefined);
    assert.equal(await client.user('no-such-user').get(), undefined);
});

for (const [all, one] of [['datasets', 'dataset'], ['keyValueStores', 'keyValueStore'], ['requestQueues', 'requestQueue']]) {
    test(`${all}: created, listed, renamed, deleted`, async () => {
        const name = `js-${one.toLowerCase()}`;
        const made = await client[all]().getOrCreate(name);
        const again = await client[all]().getOrCreate(name);
        const unnamed = await client[all]().getOrCreate();

        assert.equal(again.id, made.id);
        assert.ok(made.createdAt instanceof Date);
        assert.equal((await client[one](`alice/${name}`).get()).id, made.id);
        assert.equal((await client[one](`~${name}`).get()).id, made.id);
        assert.ok((await client[all]().list()).items.some(({ id }) => id === made.id));
        assert.ok(!(await client[all]().list()).items.some(({ id }) => id === unnamed.id));
        assert.ok((await client[all]().list({ unnamed: true, desc: true })).items.some(({ id }) => id === unnamed.id));
        assert.ok((await collected(client[all]().list({ limit: 1000 }))).length >= 1);

        const renamed = await client[one](made.id).update({ name: `${name}-2`, title: 'A title' });
        assert.equal(renamed.name, `${name}-2`);
        assert.equal(renamed.title, 'A title');
        assert.ok(!(await client[one](made.id).update({ name: null })).name);

        await client[one](made.id).delete();
        assert.equal(await client[one](made.id).get(), undefined);
        await client[one](made.id).delete();
    });

    test(`${all}: a bare name, as Crawlee opens it, is not an ID`, async () => {
        await client[all]().getOrCreate(`js-bare-${one.toLowerCase()}`);

        for (const ref of [`js-bare-${one.toLowerCase()}`, '~no-such-name', 'no-such-user~name']) {
            assert.equal(await client[one](ref).get(), undefined);
        }
    });

    test(`${all}: another user is refused`, async () => {
        const { id } = await client[all]().getOrCreate();

        await assert.rejects(clientWith(OTHER_TOKEN)[one](id).get(), refusedWith(403, 'insufficient-permissions'));
        await assert.rejects(clientWith(undefined)[one](id).get(), refusedWith(401, 'token-not-provided'));
        await assert.rejects(clientWith(`${TOKEN}x`)[all]().list(), refusedWith(401, 'user-or-token-not-found'));
        await client[one](id).update({ generalAccess: 'ANYONE_WITH_ID_CAN_READ' });
        assert.equal((await clientWith(undefined)[one](id).get()).id, id);
    });
}

test('dataset: every form of push', async () => {
    const dataset = await newDataset();
    const big = Array.from({ length: 500 }, (_, n) => ({ n, text: 'ščř 🪑'.repeat(20) }));

    await dataset.pushItems({ n: 1 });
    await dataset.pushItems([{ n: 2 }]);
    await dataset.pushItems('{"n": 3}');
    await dataset.pushItems(['{"n": 4}', '{"n": 5}']);
    await dataset.pushItems(big);

    const { items, total, count, offset, desc } = await dataset.listItems();
    assert.deepEqual(items, [1, 2, 3, 4, 5].map((n) => ({ n })).concat(big));
    assert.deepEqual([total, count, offset, desc], [505, 505, 0, false]);
    assert.equal((await dataset.get()).itemCount, 505);
    await assert.rejects(dataset.pushItems('[1]'), refusedWith(400));
});

test('dataset: nine mebibytes and not a byte more', async () => {
    const dataset = await newDataset();
    const room = 9 * 1024 * 1024 - '[{"text":""}]'.length;

    await dataset.pushItems([{ text: 'x'.repeat(room) }]);
    await assert.rejects(dataset.pushItems([{ text: 'x'.repeat(room + 1) }]), refusedWith(413, 'request-too-large'));

    assert.equal((await dataset.get()).itemCount, 1);
});

test('dataset: pages, shapes and the iterator', async () => {
    const dataset = await newDataset();
    await dataset.pushItems(Array.from({ length: 90 }, (_, n) => ({ n, '#h': 1, of: [{ i: 0 }, { i: 1 }], size: { w: 1 } })));
    await dataset.pushItems({});

    const page = await dataset.listItems({ offset: 3, limit: 2, desc: true, fields: ['n'] });
    assert.deepEqual(page.items, [{ n: 87 }, { n: 86 }]);
    assert.deepEqual([page.total, page.offset, page.limit, page.count, page.desc], [91, 3, 2, 2, true]);
    assert.equal((await dataset.listItems({ clean: true, fields: ['n', '#h'] })).items.length, 90);
    assert.deepEqual((await dataset.listItems({ limit: 1, clean: true, omit: ['of', 'size'] })).items, [{ n: 0 }]);
    assert.deepEqual((await dataset.listItems({ limit: 1, unwind: 'of', fields: ['n', 'i'] })).items, [{ n: 0, i: 0 }, { n: 0, i: 1 }]);
    assert.deepEqual((await dataset.listItems({ limit: 1, flatten: ['size'], fields: ['size.w'] })).items, [{ 'size.w': 1 }]);
    assert.deepEqual((await dataset.listItems({ offset: 90, skipEmpty: true })).items, []);
    const walked = await collected(dataset.listItems({ chunkSize: 7, fields: ['n'] }));
    assert.deepEqual(walked.map(({ n }) => n), [...Array(90).keys(), undefined]);
});

test('dataset: every format can be downloaded', async () => {
    const dataset = await newDataset();
    await dataset.pushItems([{ n: 1, name: 'chair' }, { n: 2, name: 'ščř, "x"' }]);

    const files = {};
    for (const format of Object.values(DownloadItemsFormat)) {
        files[format] = (await dataset.downloadItems(format, { attachment: true })).toString();
    }

    assert.equal(JSON.parse(files.json)[1].name, 'ščř, "x"');
    assert.equal(files.jsonl.trim().split('\n').length, 2);
    assert.deepEqual(files.csv.split(/\r?\n/), ['\ufeffn,name', '1,chair', '2,"ščř, ""x"""', '']);
    assert.equal(files.html.match(/<td>/g).length, 4);
    assert.match(files.xml, /<items>.*<item>.*<name>chair<\/name>/s);
    assert.match(files.rss, /<channel>.*<item>.*<name>chair<\/name>/s);
    assert.equal(files.xlsx.slice(0, 2), 'PK');
    assert.equal((await dataset.downloadItems('csv', { delimiter: ';', bom: false, skipHeaderRow: true, limit: 1 })).toString().trim(), '1;chair');
    assert.match((await dataset.downloadItems('xml', { xmlRoot: 'shop', xmlRow: 'thing' })).toString(), /<shop>.*<thing>/s);
});

test('dataset: statistics', async () => {
    const schema = { actorSpecification: 1, fields: { properties: { price: { type: 'number' } } }, views: {} };
    const { id } = await client.datasets().getOrCreate(undefined, { schema });
    await client.dataset(id).pushItems([{ price: 59 }, { price: 89 }, {}]);

    const { fieldStatistics } = await client.dataset(id).getStatistics();

    assert.deepEqual(fieldStatistics.price, { min: 59, max: 89, nullCount: 0, emptyCount: 1 });
});

test('dataset: a public URL opens it, a wrong or expired one does not', async () => {
    const dataset = await newDataset();
    await dataset.pushItems({ n: 1 });

    const url = await dataset.createItemsPublicUrl({ limit: 1, fields: ['n'], skipEmpty: true });
    const brief = await dataset.createItemsPublicUrl({ expiresInSecs: 1 });

    assert.deepEqual(await (await fetch(url)).json(), [{ n: 1 }]);
    assert.equal((await fetch(brief)).status, 200);
    assert.equal((await fetch(url.replace(/signature=.../, 'signature=AAA'))).status, 401);
    assert.equal((await fetch(url.split('?')[0])).status, 401);
    await sleep(1_100);
    assert.equal((await fetch(brief)).status, 401);
});

test('key-value store: records of every kind', async () => {
    const store = await newStore();
    const noise = randomBytes(200_000);
    const cases = [
        [{ a: [1, null] }, undefined, { a: [1, null] }, 'application/json; charset=utf-8'],
        [Array(999).fill({ a: 'ščř' }), undefined, Array(999).fill({ a: 'ščř' }), 'application/json; charset=utf-8'],
        ['ahoj 🙂', undefined, 'ahoj 🙂', 'text/plain; charset=utf-8'],
        ['x'.repeat(50_000), 'text/html; charset=utf-8', 'x'.repeat(50_000), 'text/html; charset=utf-8'],
        ['<a/>', 'application/xml; charset=utf-8', '<a/>', 'application/xml; charset=utf-8'],
        [Buffer.from([0, 255]), undefined, Buffer.from([0, 255]), 'application/octet-stream'],
        [noise, 'image/png', noise, 'image/png'],
    ];

    for (const [value, contentType, expected, expectedType] of cases) {
        await store.setRecord({ key: 'K', value, contentType });
        assert.deepEqual(await store.getRecord('K'), { key: 'K', value: expected, contentType: expectedType });
        const buffered = await store.getRecord('K', { buffer: true });
        assert.ok(Buffer.isBuffer(buffered.value));
        const streamed = await store.getRecord('K', { stream: true });
        assert.deepEqual(Buffer.concat(await collected(streamed.value)), buffered.value);
    }
});

test('key-value store: a stream is uploaded in chunks', async () => {
    const store = await newStore();
    const noise = randomBytes(300_000);
    const chunks = Array.from({ length: 30 }, (_, n) => noise.subarray(n * 10_000, (n + 1) * 10_000));

    await store.setRecord({ key: 'K', value: Readable.from(chunks), contentType: 'application/x-noise' });

    assert.deepEqual(await store.getRecord('K'), { key: 'K', value: noise, contentType: 'application/x-noise' });
});

test('key-value store: keys', async () => {
    const store = await newStore();
    const keys = ["it's(1)!_-.key", 'INPUT', ...Array.from({ length: 25 }, (_, n) => `a-${n}`)].sort();
    for (const key of keys) await store.setRecord({ key, value: key });

    assert.deepEqual((await store.getRecord("it's(1)!_-.key")).value, "it's(1)!_-.key");
    assert.equal(await store.recordExists('INPUT'), true);
    assert.equal(await store.recordExists('OUTPUT'), false);
    assert.equal(await store.getRecord('OUTPUT'), undefined);
    const page = await store.listKeys({ limit: 5 });
    assert.deepEqual(page.items.map(({ key }) => key), keys.slice(0, 5));
    assert.deepEqual([page.isTruncated, page.nextExclusiveStartKey], [true, keys[4]]);
    assert.deepEqual((await collected(store.listKeys())).map(({ key }) => key), keys);
    assert.equal((await collected(store.listKeys({ prefix: 'a-1' }))).length, 11);
    assert.equal((await collected(store.listKeys({ limit: 7 }))).length, 7);

    await store.deleteRecord('INPUT');
    await store.deleteRecord('INPUT');
    assert.equal(await store.recordExists('INPUT'), false);
    await assert.rejects(store.setRecord({ key: 'ščř', value: 1 }), refusedWith(400, 'invalid-record-key'));
});

test('key-value store: public URLs', async () => {
    const store = await newStore();
    await store.setRecord({ key: "it's(1)!", value: { n: 1 } });

    const url = await store.getRecordPublicUrl("it's(1)!");
    const listed = await store.createKeysPublicUrl({ limit: 10, prefix: 'it' });

    assert.deepEqual(await (await fetch(url)).json(), { n: 1 });
    assert.equal((await (await fetch(listed)).json()).data.items[0].key, "it's(1)!");
    assert.equal((await fetch(url.split('?')[0])).status, 401);
    assert.equal((await fetch(url.replace(/signature=.../, 'signature=AAA'))).status, 401);
});

test('request queue: added, read, updated, deleted', async () => {
    const queue = (await newQueue())('one');
    const whole = request('a', {
        method: 'POST', payload: '{"a":1}', headers: { 'X-A': '1' }, retryCount: 1, noRetry: false,
        userData: { label: 'DETAIL', __crawlee: { maxRetries: 3 } }, errorMessages: ['no'], loadedUrl: 'http://b', handledAt: undefined,
    });

    const added = await queue.addRequest(whole);
    const again = await queue.addRequest(request('a'));
    const first = await queue.addRequest(request('b'), { forefront: true });
    const found = await queue.getRequest(added.requestId);

    assert.deepEqual([added.wasAlreadyPresent, again.wasAlreadyPresent, again.wasAlreadyHandled], [false, true, false]);
    for (const [field, value] of Object.entries(whole)) assert.deepEqual(found[field], value, field);
    assert.deepEqual(paths((await queue.listHead({ limit: 10 })).items), ['b', 'a']);

    const done = await queue.updateRequest({ ...found, handledAt: new Date().toISOString() });
    assert.deepEqual([done.wasAlreadyPresent, done.wasAlreadyHandled], [true, false]);
    assert.equal((await queue.addRequest(request('a'))).wasAlreadyHandled, true);
    assert.deepEqual(paths((await queue.listHead()).items), ['b']);
    const { totalRequestCount, handledRequestCount, pendingRequestCount } = await queue.get();
    assert.deepEqual([totalRequestCount, handledRequestCount, pendingRequestCount], [2, 1, 1]);

    await queue.deleteRequest(first.requestId);
    assert.equal(await queue.getRequest(first.requestId), undefined);
    await assert.rejects(queue.updateRequest({ ...found, uniqueKey: 'other' }), refusedWith(400, 'request-id-invalid'));
});

test('request queue: batches, listing and paging', async () => {
    const queue = (await newQueue())('one');
    const requests = Array.from({ length: 200 }, (_, n) => request(String(n).padStart(3, '0')));

    const added = await queue.batchAddRequests(requests, { maxParallel: 1 });
    assert.equal(added.processedRequests.length, 200);
    assert.deepEqual(added.unprocessedRequests, []);
    assert.deepEqual(paths((await queue.listHead({ limit: 3 })).items), ['000', '001', '002']);

    const page = await queue.listRequests({ limit: 150 });
    const rest = await queue.listRequests({ limit: 150, cursor: page.nextCursor });
    assert.deepEqual([page.items.length, rest.items.length], [150, 50]);
    assert.deepEqual(new Set(paths([...page.items, ...rest.items])).size, 200);
    assert.equal((await collected(queue.listRequests({ limit: 120 }))).length, 120);
    const pages = await collected(queue.paginateRequests({ maxPageLimit: 60 }));
    assert.deepEqual(pages.flatMap(({ items }) => items).length, 200);
    const after = await queue.listRequests({ exclusiveStartId: page.items[9].id, limit: 5 });
    assert.deepEqual(paths(after.items), paths(page.items.slice(10, 15)));

    await queue.listAndLockHead({ lockSecs: 60, limit: 5 });
    assert.equal((await queue.listRequests({ filter: ['locked'] })).items.length, 5);
    assert.equal((await queue.listRequests({ filter: ['pending'], limit: 1000 })).items.length, 195);
    const deleted = await queue.batchDeleteRequests([{ id: page.items[0].id }, { uniqueKey: requests[199].uniqueKey }]);
    assert.equal(deleted.processedRequests.length, 2);
    assert.equal((await queue.get()).totalRequestCount, 198);
});

test('request queue: two clients compete for locks', async () => {
    const queue = await newQueue();
    const [one, two] = [queue('one'), queue('two')];
    await one.batchAddRequests(Array.from({ length: 5 }, (_, n) => request(String(n))));

    const mine = await one.listAndLockHead({ lockSecs: 60, limit: 2 });
    const yours = await two.listAndLockHead({ lockSecs: 60 });
    const none = await one.listAndLockHead({ lockSecs: 60 });

    assert.deepEqual([paths(mine.items), paths(yours.items), none.items], [['0', '1'], ['2', '3', '4'], []]);
    assert.deepEqual([none.queueHasLockedRequests, none.hadMultipleClients, none.clientKey], [true, true, 'one']);
    assert.ok(mine.items[0].lockExpiresAt instanceof Date);

    const { lockExpiresAt } = await one.prolongRequestLock(mine.items[0].id, { lockSecs: 300 });
    assert.ok(lockExpiresAt > mine.items[0].lockExpiresAt);
    await assert.rejects(two.prolongRequestLock(mine.items[0].id, { lockSecs: 60 }), refusedWith(400, 'request-handled-or-locked'));
    await assert.rejects(two.deleteRequestLock(mine.items[0].id), refusedWith(400, 'request-handled-or-locked'));
    await one.deleteRequestLock(mine.items[1].id, { forefront: true });
    assert.deepEqual(await two.unlockRequests(), { unlockedCount: 3 });
    assert.deepEqual(paths((await two.listHead()).items), ['1', '2', '3', '4']);
});

test('what is not there', async () => {
    for (const one of ['dataset', 'keyValueStore', 'requestQueue']) {
        assert.equal(await client[one]('WkzbQMuFYuamGv3YF').get(), undefined);
    }
    assert.equal(await client.keyValueStore('WkzbQMuFYuamGv3YF').getRecord('K'), undefined);
    assert.equal(await client.requestQueue('WkzbQMuFYuamGv3YF').getRequest('8OamqXBCpPHxyH9'), undefined);
    await assert.rejects(client.dataset('WkzbQMuFYuamGv3YF').pushItems({}), refusedWith(404, 'record-not-found'));
    await assert.rejects(client.keyValueStore('WkzbQMuFYuamGv3YF').listKeys(), refusedWith(404, 'record-not-found'));
    await assert.rejects(client.requestQueue('WkzbQMuFYuamGv3YF').listHead(), refusedWith(404, 'record-not-found'));
});

test('a shared storage is read by user~name, then written, then closed', async () => {
    const { id } = await client.datasets().getOrCreate('js-shared');
    const other = clientWith(OTHER_TOKEN);
    const theirs = other.dataset('alice/js-shared');
    const share = async (right) => {
        const answer = await fetch(`${SERVER}/v2/datasets/${id}/access/bob`, {
            method: right ? 'PUT' : 'DELETE',
            headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' },
            body: right && JSON.stringify({ right }),
        });
        assert.equal(answer.status, 200);
    };
    await client.dataset(id).pushItems([{ n: 1 }]);
    await assert.rejects(theirs.listItems(), refusedWith(403, 'insufficient-permissions'));

    await share('read');
    assert.deepEqual((await theirs.listItems()).items, [{ n: 1 }]);
    assert.equal((await theirs.get()).urlSigningSecretKey, undefined);
    assert.ok(!(await theirs.createItemsPublicUrl()).includes('signature'));
    await assert.rejects(theirs.pushItems([{ n: 2 }]), refusedWith(403));

    await share('write');
    await theirs.pushItems([{ n: 2 }]);
    const signed = await theirs.createItemsPublicUrl();
    assert.deepEqual(await (await fetch(signed)).json(), [{ n: 1 }, { n: 2 }]);
    const { items } = await other.datasets().list({ ownership: 'sharedWithMe' });
    assert.ok(items.some((item) => item.id === id && item.username === 'alice'));

    await share(undefined);
    await assert.rejects(theirs.get(), refusedWith(403));
});
