import { formatBytes } from '@dicom-dispatch/core';
import type { Throughput } from '../views/schemas.ts';
import { number } from './components.ts';
import { html, type Html } from './html.ts';

const height = 100;

/** Bars of bytes over time, and above them a mark where deliveries failed; in words for those who do not see it. */
export function plot(title: string, points: Throughput, size: 'large' | 'small' = 'large'): Html {
  const most = Math.max(1, ...points.map(({ bytes }) => bytes));
  const total = points.reduce((sum, { bytes }) => sum + bytes, 0);
  const delivered = points.reduce((sum, point) => sum + point.delivered, 0);
  const failed = points.reduce((sum, point) => sum + point.failed, 0);
  const words = `${title}: ${formatBytes(total)} sent, ${number(delivered)} deliveries arrived, ${number(failed)} did not`;
  if (total === 0 && failed === 0 && size === 'large') return html`<p class="plot-none">Nothing was sent.</p>`;
  const width = points.length * 10;
  return html`<svg
    class="plot ${size === 'small' && 'small'}"
    viewBox="0 0 ${width} ${height}"
    preserveAspectRatio="none"
    role="img"
    aria-label="${words}"
  >
    ${points.map((point, index) => bar(point, index, most))}
    <line class="axis" x1="0" y1="${height}" x2="${width}" y2="${height}" />
  </svg>`;
}

export function plotLegend(points: Throughput, stepMinutes: number): Html {
  const total = points.reduce((sum, { bytes }) => sum + bytes, 0);
  const most = Math.max(0, ...points.map(({ bytes }) => bytes));
  const delivered = points.reduce((sum, point) => sum + point.delivered, 0);
  const failed = points.reduce((sum, point) => sum + point.failed, 0);
  if (total === 0 && delivered === 0 && failed === 0) return html``;
  return html`<p class="plot-legend">
    <span>${formatBytes(total)} in all, at most ${formatBytes(most / (stepMinutes * 60))}/s</span>
    <span>${number(delivered)} arrived · ${number(failed)} did not</span>
  </p>`;
}

function bar({ bytes, failed }: Throughput[number], index: number, most: number): Html {
  const tall = bytes === 0 ? 0 : Math.max(2, Math.round((bytes / most) * (height - 14)));
  return html`${tall > 0 && html`<rect class="bytes" x="${index * 10 + 1}" y="${height - tall}" width="8" height="${tall}" />`}${
    failed > 0 && html`<rect class="bad" x="${index * 10 + 1}" y="0" width="8" height="8" />`
  }`;
}
