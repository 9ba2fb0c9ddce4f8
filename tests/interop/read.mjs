// node read.mjs BASE PATH...: what two readers from npm make of each feed (BASE + PATH + extension), as JSON on stdout.
import Parser from "rss-parser";
import { parseFeed } from "feedsmith";

const [base, ...paths] = process.argv.slice(2);
const answer = {};
for (const path of paths) {
  const found = (answer[path] = {});
  for (const format of ["atom", "rss"]) {
    const feed = await new Parser().parseURL(`${base}${path}.${format}`);
    found[`rss-parser ${format}`] = {
      title: feed.title,
      items: feed.items.map((item) => ({ id: item.id ?? item.guid, title: item.title, url: item.link, date: item.isoDate })),
    };
  }
  for (const format of ["atom", "rss", "json"]) {
    const response = await fetch(`${base}${path}.${format}`);
    const { format: kind, feed } = parseFeed(await response.text());
    const items = feed.entries ?? feed.items ?? [];
    found[`feedsmith ${format}`] = {
      kind,
      type: response.headers.get("content-type"),
      encoding: response.headers.get("content-encoding"),
      title: feed.title?.value ?? feed.title,
      items: items.map((item) => ({
        id: item.id ?? item.guid?.value,
        title: item.title?.value ?? item.title,
        url: item.links?.find((link) => link.rel === "alternate")?.href ?? item.link ?? item.url,
        via: item.links?.find((link) => link.rel === "via")?.href ?? item.external_url ?? item.atom?.links?.[0]?.href ?? null,
        translators: (item.contributors ?? item.dc?.contributors ?? []).map((person) => person.name ?? person),
        authors: (item.authors ?? item.dc?.creators ?? []).map((person) => person.name ?? person),
        tags: (item.categories ?? []).map((category) => category.term ?? category.name).concat(item.tags ?? []),
      })),
    };
  }
}
console.log(JSON.stringify(answer));
