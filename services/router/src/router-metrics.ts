import { Counter, Gauge, type Registry } from '@dicom-dispatch/runtime';
import type { SourceLead } from './lead-source.ts';
import type { RoutingOutcome } from './route-one-study.ts';

const outcomes: readonly RoutingOutcome[] = ['enqueued', 'known', 'waiting', 'no-rule', 'omitted', 'gone'];

/** Prometheus metrics of a router. Labels are names of the configuration and states. */
export interface RouterMetrics {
  routed(source: string, outcome: RoutingOutcome): void;
  forgotten(source: string, studies: number): void;
  /** Creates the counters of these sources at the start, with 0. */
  begin(sources: readonly string[]): void;
}

export function createRouterMetrics(registry: Registry, leads: ReadonlyMap<string, SourceLead>): RouterMetrics {
  const registers = [registry];
  const routed = new Counter({
    name: 'dispatch_studies_routed_total',
    help: 'Stable studies seen, by source and outcome',
    labelNames: ['source', 'outcome'],
    registers,
  });
  const forgotten = new Counter({
    name: 'dispatch_studies_forgotten_total',
    help: 'Studies that left their source and whose records were removed, by source',
    labelNames: ['source'],
    registers,
  });
  /** A gauge of the sources that this router leads: one router reports each source. */
  const perLed = (name: string, help: string, read: (lead: SourceLead) => number): void => {
    const gauge = new Gauge({
      name,
      help,
      labelNames: ['source'],
      registers,
      collect() {
        this.reset();
        for (const lead of leads.values()) {
          if (lead.status.isLeader) this.set({ source: lead.status.name }, read(lead));
        }
      },
    });
    void gauge;
  };
  perLed(
    'dispatch_feed_lag_changes',
    'Changes in the feed that are not processed yet, by source',
    ({ status }) => status.lag,
  );
  perLed('dispatch_source_up', 'Whether the source responds and is followed: 1 up, 0 down', (lead) =>
    lead.trouble() === undefined ? 1 : 0,
  );
  return {
    routed: (source, outcome) => routed.inc({ source, outcome }),
    forgotten: (source, studies) => forgotten.inc({ source }, studies),
    begin(sources) {
      for (const source of sources) {
        forgotten.inc({ source }, 0);
        for (const outcome of outcomes) routed.inc({ source, outcome }, 0);
      }
    },
  };
}
