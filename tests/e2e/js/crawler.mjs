// An Actor as people write them: visits all pages of a site through Crawlee. See ../crawler.py.

import { Actor } from 'apify';
import { CheerioCrawler } from '@crawlee/cheerio';

await Actor.init();
const { start } = await Actor.getInput();
const seen = [];

const crawler = new CheerioCrawler({
    maxRequestRetries: 2,
    maxConcurrency: 8,
    requestHandler: async ({ request, $, enqueueLinks }) => {
        await Actor.pushData({ url: request.url, title: $('title').text(), '#by': process.pid });
        await enqueueLinks({ label: 'PAGE', userData: { from: request.url } });
        seen.push(request.url);
    },
});
await crawler.run([start]);
await Actor.setValue('OUTPUT', { seen: seen.sort() });

const large = await Actor.openDataset('large');
const text = 'x'.repeat(Number(process.env.LARGE_BYTES));
await large.pushData([0, 1, 2, 3, 4].map((n) => ({ n, text })));

await Actor.exit();
