// HEALTHCHECK of the image: exits with 0 when a service in this container responds. HEALTH_PORT names the port of its health
// server, if it is none of the defaults of console (and `up`), router and dispatcher.
const ports = process.env.HEALTH_PORT ? [process.env.HEALTH_PORT] : [8080, 8081, 8082];
const isHealthy = async (port) => {
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4_000) });
  if (!answer.ok) throw new Error(`port ${port}: HTTP ${answer.status}`);
};
try {
  await Promise.any(ports.map(isHealthy));
  process.exit(0);
} catch {
  console.error(`no healthy service responds on 127.0.0.1 at port ${ports.join(', ')}`);
  process.exit(1);
}
