import { formatBytes } from '@dicom-dispatch/core';
import type { Throughput } from '../views/schemas.ts';
import { number, right, table, time } from './components.ts';
import { html, type Html } from './html.ts';

/** Pixels from the top: the area of bytes, the area of failures below it, and the texts of the axis below both. */
const sent = { top: 14, height: 100 };
const bad = { top: 126, height: 22 };
const axisText = 164;
const plotHeight = 170;

export interface PlotOptions {
  /** Id of the element, so that it stays expanded when the page is reloaded. */
  readonly id: string;
  readonly title: string;
  readonly stepMinutes: number;
  /** How times on the axis are written: `clock` for hours, `day` for days. */
  readonly axis: 'clock' | 'day';
  /** Distance, in points, of lines with their times. */
  readonly every: number;
}

/**
 * Throughput of a target over time: bytes per second, and below them unsuccessful deliveries, each with a separate axis. Each
 * point shows its numbers on hover; a table has them for screen readers.
 */
export function plot(points: Throughput, { id, title, stepMinutes, axis, every }: PlotOptions): Html {
  const { bytes, delivered, failed } = totals(points);
  if (bytes === 0 && delivered === 0 && failed === 0) return html`<p class="plot-none">No data was sent.</p>`;
  const seconds = stepMinutes * 60;
  const max = niceTop(Math.max(...points.map((point) => point.bytes / seconds)));
  const maxFailed = Math.max(1, ...points.map((point) => point.failed));
  const wide = 100 / points.length;
  return html`<figure class="plot">
    <svg class="plot" height="${plotHeight}" role="img" aria-label="${words(title, points)}">
      ${[1, 0.5].map(
        (share) =>
          html`<line class="grid" x1="0" x2="100%" y1="${y(share)}" y2="${y(share)}" /><text x="2" y="${y(share) - 3}"
              >${`${formatBytes(Math.round(max * share))}/s`}</text
            >`,
      )}
      ${points.map((_, index) => ((index + 1) % every === 0 ? axisMark(points[index + 1]?.at, (index + 1) * wide, axis) : undefined))}
      ${points.map((point, index) => column(point, { index, wide, max, maxFailed, seconds }))}
      <line class="axis" x1="0" x2="100%" y1="${y(0)}" y2="${y(0)}" />
      <line class="axis" x1="0" x2="100%" y1="${bad.top + bad.height}" y2="${bad.top + bad.height}" />
      ${failed > 0 && html`<text x="2" y="${bad.top + 9}">${number(maxFailed)}</text>`}
    </svg>
    <figcaption class="plot-legend">
      <span
        ><span class="key bytes" aria-hidden="true"></span> ${formatBytes(bytes)} sent, ${number(delivered)}
        arrived</span
      >
      <span><span class="key bad" aria-hidden="true"></span> ${number(failed)} did not arrive</span>
    </figcaption>
    <details id="${id}-values">
      <summary>Values</summary>
      ${table(
        `${title}: values`,
        ['From', right('Sent'), right('Arrived'), right('Did not')],
        points
          .filter((point) => point.bytes + point.delivered + point.failed > 0)
          .toReversed()
          .map(
            (point) =>
              html`<tr>
                <td class="nowrap">${time(point.at, 'at')}</td>
                <td class="num right">${formatBytes(point.bytes)}</td>
                <td class="num right">${number(point.delivered)}</td>
                <td class="num right">${number(point.failed)}</td>
              </tr>`,
          ),
      )}
    </details>
  </figure>`;
}

/** A small plot of the last hour, for a row of a list. */
export function smallPlot(title: string, points: Throughput): Html {
  const max = Math.max(1, ...points.map(({ bytes }) => bytes));
  const wide = 100 / points.length;
  return html`<svg class="plot small" role="img" aria-label="${words(title, points)}">
    ${points.map(({ bytes, failed }, index) => {
      const tall = bytes === 0 ? 0 : Math.max(3, Math.round((bytes / max) * 70));
      const [x, width] = [`${index * wide}%`, `${wide * 0.8}%`];
      return html`${tall > 0 && html`<rect class="bytes" x="${x}" width="${width}" y="${100 - tall}%" height="${tall}%" />`}${
        failed > 0 && html`<rect class="bad" x="${x}" width="${width}" y="0" height="20%" />`
      }`;
    })}
    <line class="axis" x1="0" x2="100%" y1="100%" y2="100%" />
  </svg>`;
}

function totals(points: Throughput): Omit<Throughput[number], 'at'> {
  return points.reduce(
    (sum, { bytes, delivered, failed }) => ({
      bytes: sum.bytes + bytes,
      delivered: sum.delivered + delivered,
      failed: sum.failed + failed,
    }),
    { bytes: 0, delivered: 0, failed: 0 },
  );
}

function words(title: string, points: Throughput): string {
  const { bytes, delivered, failed } = totals(points);
  return `${title}: ${formatBytes(bytes)} sent, ${number(delivered)} deliveries arrived, ${number(failed)} did not`;
}

/** Position of a share of the highest value, from the top. */
function y(share: number): number {
  return sent.top + Math.round(sent.height * (1 - share));
}

/** The smallest of 1, 2, 5, 10, 20 … that is not below the value. */
function niceTop(max: number): number {
  if (max <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  return ([1, 2, 5].find((step) => step * power >= max) ?? 10) * power;
}

/** A time on the axis, which the script of the page converts to the time zone of the user. */
function axisMark(at: number | undefined, x: number, axis: PlotOptions['axis']): Html {
  if (at === undefined) return html``;
  const iso = new Date(at).toISOString();
  return html`<line class="grid" x1="${x}%" x2="${x}%" y1="${sent.top}" y2="${bad.top + bad.height}" /><text
      class="middle"
      x="${x}%"
      y="${axisText}"
      data-axis="${axis}"
      data-at="${iso}"
      >${axis === 'clock' ? iso.slice(11, 16) : iso.slice(5, 10)}</text
    >`;
}

interface Scale {
  readonly index: number;
  readonly wide: number;
  readonly max: number;
  readonly maxFailed: number;
  readonly seconds: number;
}

function column(point: Throughput[number], { index, wide, max, maxFailed, seconds }: Scale): Html {
  const [x, width] = [`${index * wide}%`, `${wide * 0.8}%`];
  const tall = point.bytes === 0 ? 0 : Math.max(2, Math.round((point.bytes / seconds / max) * sent.height));
  const deep = point.failed === 0 ? 0 : Math.max(4, Math.round((point.failed / maxFailed) * bad.height));
  const iso = new Date(point.at).toISOString();
  const text = `${formatBytes(Math.round(point.bytes / seconds))}/s, ${number(point.delivered)} arrived, ${number(point.failed)} did not`;
  return html`<g class="point"
    >${tall > 0 && html`<rect class="bytes" x="${x}" width="${width}" y="${sent.top + sent.height - tall}" height="${tall}" />`}${
      deep > 0 &&
      html`<rect class="bad" x="${x}" width="${width}" y="${bad.top + bad.height - deep}" height="${deep}" />`
    }<rect class="hit" x="${x}" width="${wide}%" y="0" height="${bad.top + bad.height}"
      ><title data-at="${iso}" data-says="${text}">${iso.slice(0, 16).replace('T', ' ')} UTC: ${text}</title></rect
    ></g
  >`;
}
