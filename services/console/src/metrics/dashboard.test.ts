import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IntermediateCache } from '@dicom-dispatch/cache';
import { waitFor } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';

const folder = join(import.meta.dirname, '../../../../deploy/grafana');
/** Metrics that other services count: test/e2e/console.test.ts tests them in the complete system. */
const ofOthers =
  /^(dispatch_(sent_bytes|deliveries_ended|attempts_failed|instances_quarantined|studies_routed|studies_forgotten)_total|dispatch_(attempt|stage)_duration_seconds_bucket|dispatch_(feed_lag_changes|source_up))$/;

describe('the metrics', () => {
  let test: TestConsole;
  beforeAll(async () => {
    test = await startTestConsole();
    await test.route();
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(['dashboard.json', 'alerts.yaml'])('used by %s exist', async (file) => {
    const text = await readFile(join(folder, file), 'utf8');
    const asked = new Set(text.match(/\b(dispatch|nodejs|process)_[a-z0-9_]+/g));
    const { text: metrics } = await test.ask('GET', '/metrics');
    expect(asked.size).toBeGreaterThan(1);
    for (const name of asked) if (!ofOthers.test(name)) expect(metrics, name).toContain(`# TYPE ${name} `);
  });

  it('report the cache by type of result, as does its page', async () => {
    const cache = await IntermediateCache.open(test.redis, test.config.cache, { prefix: test.config.redis.prefix });
    await cache.put('manifest', 'one', Buffer.from('kept'));
    await cache.get('manifest', 'one');
    await cache.get('manifest', 'another');
    await cache.put('query', 'one', Buffer.from('kept'));
    // A recent result is reused for a second.
    const text = await waitFor(async () => {
      const metrics = (await test.ask('GET', '/metrics')).text;
      return metrics.includes('dispatch_cache_entries{type="query"} 1') && metrics;
    });
    expect(text).toContain('dispatch_cache_entries{type="manifest"} 1');
    expect(text).toMatch(/dispatch_cache_bytes\{type="manifest"\} [1-9]\d+/);
    expect(text).toContain('dispatch_cache_hits_total{type="manifest"} 1');
    expect(text).toContain('dispatch_cache_misses_total{type="manifest"} 1');
    expect(text).toContain('dispatch_cache_evictions_total{type="manifest"} 0');
    const page = (await test.ask('GET', '/cache')).text;
    expect(page).toMatch(/manifest[\s\S]*50 %/);
  });

  it('report the age of waiting deliveries, and no name of a study', async () => {
    const { text } = await test.ask('GET', '/metrics');
    expect(text).toMatch(/dispatch_oldest_waiting_seconds\{target="a"\} [\d.]+/);
    expect(text).toContain('dispatch_workers 0');
    expect(text).not.toContain('1.2.826');
  });
});
