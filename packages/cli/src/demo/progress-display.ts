import { formatBytes } from '@dicom-dispatch/core';
import { endStates, type DeliveryRecord } from '@dicom-dispatch/state/records';

export interface ShownStudy {
  readonly studyInstanceUid: string;
  readonly title: string;
  readonly deliveries: readonly DeliveryRecord[];
}

const barWidth = 24;

/** Progress by study and target: redrawn in place on a terminal, otherwise one line per state change of a delivery. */
export class ProgressDisplay {
  readonly #out: NodeJS.WriteStream;
  #drawnLines = 0;
  readonly #printed = new Map<string, string>();

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  show(studies: readonly ShownStudy[]): void {
    if (this.#out.isTTY) this.#draw(studies);
    else this.#print(studies);
  }

  #draw(studies: readonly ShownStudy[]): void {
    const lines = studies.flatMap(({ title, deliveries }) => [
      title,
      ...(deliveries.length === 0
        ? ['  waiting until the study is stable']
        : deliveries.map((delivery) => `  ${describe(delivery)}`)),
    ]);
    const width = this.#out.columns || 80;
    const up = this.#drawnLines > 0 ? `\u001B[${this.#drawnLines}A` : '';
    this.#out.write(up + lines.map((line) => `\u001B[2K${line.slice(0, width - 1)}\n`).join(''));
    this.#drawnLines = lines.length;
  }

  #print(studies: readonly ShownStudy[]): void {
    for (const { title, deliveries } of studies) {
      for (const delivery of deliveries) {
        const key = `${delivery.state} ${delivery.attempts}`;
        if (this.#printed.get(delivery.deliveryId) === key) continue;
        this.#printed.set(delivery.deliveryId, key);
        this.#out.write(`${title}: ${describe(delivery)}\n`);
      }
    }
  }
}

function describe(delivery: DeliveryRecord): string {
  const { target, state, stage, total, confirmed, bytesSent, error } = delivery;
  const share = total > 0 ? confirmed / total : 0;
  const filled = Math.round(share * barWidth);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`;
  const what = state === 'active' ? `${stage ?? ''}` : state;
  const why = error && !(endStates.includes(state) && state === 'delivered') ? ` (${error.message})` : '';
  return `${target.padEnd(10)} ${bar} ${String(confirmed).padStart(4)}/${total} instances  ${formatBytes(bytesSent).padStart(8)}  ${what}${why}`;
}
