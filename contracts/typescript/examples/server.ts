/** Starts the app of `express.ts` with what the environment says: `npm run example`. */

import { createServer } from "node:http";

import { Redis } from "ioredis";
import { Pool } from "pg";

import { OutcomeWaiter, Publisher } from "../src/index.js";
import { createApp } from "./express.js";
import { LiveSockets } from "./live-sockets.js";
import { OUTBOX_TABLE, Outbox } from "./outbox.js";
import { foreign, itemsOf, practice, readCurriculum } from "./practice.js";
import { readSettings } from "./settings.js";
import { closeGracefully, stopOnSignals } from "./stopping.js";

const { redisUrl, subscriberRedisUrl, shards, tenantClaim, tokens, tokenOf, ...settings } =
  await readSettings(process.env);

const redis = new Redis(redisUrl, {
  // The user `express` may XADD and nothing else; ready checks ask for INFO.
  enableReadyCheck: false,
  // A student who waits is told soon that Redis is away.
  maxRetriesPerRequest: 1,
  commandTimeout: 2_000,
});
redis.on("error", (error) => console.error("redis:", error.message));
// Its connections are made by the readers, and by nobody else.
const reading = new Redis(subscriberRedisUrl, { enableReadyCheck: false, lazyConnect: true });
const direct = new Publisher(redis, { shards, tenantClaim });
const outcomes = new OutcomeWaiter(reading, { shards, tenantClaim });

const pool = settings.databaseUrl ? new Pool({ connectionString: settings.databaseUrl }) : undefined;
let outbox: Outbox | undefined;
if (pool !== undefined) {
  pool.on("error", (error) => console.error("outbox:", error.message));
  await pool.query(OUTBOX_TABLE);
  outbox = new Outbox({ pool, publisher: direct, renew: settings.renew });
  outbox.start();
}
const publisher = outbox ?? direct;

const curriculum = readCurriculum("examples/curriculum.json");
const app = createApp({
  ...tokens,
  publisher,
  outcomes,
  items: itemsOf(curriculum),
  more: tokenOf && practice({ ...settings, web: "../../workers/web", curriculum, tokenOf, tokens, publisher }),
});

const server = createServer(app);
const sockets =
  tokenOf && new LiveSockets(server, { redis: reading, shards, tenantClaim, tokens, refusal: foreign });
server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
// The practice page serves this machine alone.
const host = tokenOf === undefined ? settings.host : "127.0.0.1";
server.listen(settings.port, host, () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : settings.port;
  const page = tokenOf === undefined ? "POST /answers" : "practise in the browser, or POST /answers";
  console.log(`Express is ready at http://${host}:${port}/ (${page}). Ctrl-C ends it.`);
});

stopOnSignals(async () => {
  // First whoever may still give an answer, then what carries it, last the connections.
  const closed = closeGracefully(server);
  await sockets?.close();
  await closed;
  await outbox?.stop();
  await outcomes.close();
  await pool?.end();
  redis.disconnect();
});
