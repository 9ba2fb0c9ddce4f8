// node show.mjs READER URL: what a reader from npm makes of a feed, in that reader's own words, as JSON on stdout.
import Parser from "rss-parser";
import { parseFeed } from "feedsmith";

const [reader, url] = process.argv.slice(2);
const readers = {
  "rss-parser": () => new Parser().parseURL(url),
  feedsmith: async () => {
    const response = await fetch(url); // it parses only
    if (!response.ok) throw new Error(`status ${response.status}`);
    return parseFeed(await response.text()).feed;
  },
};
try {
  console.log(JSON.stringify(await readers[reader]()));
} catch (error) {
  console.log(JSON.stringify({ complaint: String(error.message).split("\n")[0] }));
}
