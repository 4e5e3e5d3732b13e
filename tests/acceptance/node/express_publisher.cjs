// What an Express route does after a student answered: one plain XADD, twice where it is unsure.
//   node express_publisher.cjs REDIS_URL COUNT
const Redis = require("ioredis");
const { createHash } = require("node:crypto");

const [url, count] = [process.argv[2], Number(process.argv[3])];

function uuid(name) {
  const hex = createHash("sha256").update(name).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join("-");
}

async function main() {
  const redis = new Redis(url);
  const now = Math.floor(Date.now() / 1000);
  for (let n = 0; n < count; n += 1) {
    const student = `schüler-${n % 5}`;
    const event = {
      specversion: "1.0",
      id: uuid(`event ${n}`),
      source: "/express/practice",
      type: "practice.response.recorded.v1",
      subject: student,
      time: new Date().toISOString(),
      datacontenttype: "application/json",
      correlationid: `req-${n}`,
      data: {
        claims: {
          sub: student, iss: "https://school.example/auth/v1", aud: "authenticated",
          role: "authenticated", iat: now - 10, exp: now + 3600, tenant_id: "school-7",
        },
        response: {
          response_id: uuid(`response ${n}`),
          student_id: student,
          session_id: "s-9",
          item_id: `q-${n % 7}`,
          concept_ids: ["fractions.add"],
          scale: "math",
          correct: n % 3 !== 0,
          answered_at: new Date(Date.now() - (count - n) * 1000).toISOString(),
          response_time_ms: 8200,
        },
      },
    };
    await redis.xadd("practice.responses.v1", "*", "event", JSON.stringify(event));
    if (n % 4 === 0) {
      await redis.xadd("practice.responses.v1", "*", "event", JSON.stringify(event));
    }
  }
  await redis.quit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
