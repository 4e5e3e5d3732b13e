// Publishes one answer to `mastery dev` with ioredis and default options, and waits for its mastery
// event in a consumer group of its own. Prints that event.
//   node dev_publisher.cjs REDIS_URL EVENT
const Redis = require("ioredis");

const [url, text] = process.argv.slice(2);
const event = JSON.parse(text);

async function main() {
  const redis = new Redis(url);
  const [stream, group] = ["practice.mastery.v1", "node"];
  await redis.xgroup("CREATE", stream, group, "0", "MKSTREAM");
  await redis.xadd("practice.responses.v1", "*", "event", text);
  for (;;) {
    const read = await redis.xreadgroup(
      "GROUP", group, "me", "COUNT", 10, "BLOCK", 5000, "STREAMS", stream, ">",
    );
    for (const [id, fields] of read?.[0][1] ?? []) {
      const told = JSON.parse(fields[1]);
      await redis.xack(stream, group, id);
      if (told.causationid === event.id) {
        console.log(fields[1]);
        await redis.quit();
        return;
      }
    }
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
