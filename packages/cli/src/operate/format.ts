import { formatBytes } from '@dicom-dispatch/core';
import type { Delivery, DeliveryDetail, StudyDetail, StudySummary, Target } from '@dicom-dispatch/console/views';
import { ago, formatTable, plain, utcTime } from './print-table.ts';

export function formatStudies(studies: readonly StudySummary[]): string {
  return formatTable(
    ['patient', 'accession', 'description', 'mod', 'inst', 'routed', 'targets', 'study'],
    studies.map((study) => [
      study.label?.patientName ?? '-',
      study.label?.accessionNumber || '-',
      cut(study.label?.description ?? '-', 30),
      study.modalities.join(',') || '-',
      study.instanceCount ?? 0,
      study.routed ? `${ago(study.routedAt)}${study.inSource === 'no' ? ', left' : ''}` : 'never',
      study.deliveries.map((one) => targetText(one)).join(' ') || '-',
      study.studyInstanceUid,
    ]),
  );
}

export function formatDeliveries(deliveries: readonly Delivery[]): string {
  return formatTable(
    ['delivery', 'target', 'state', 'instances', 'tries', 'error', 'changed'],
    deliveries.map((one) => [
      one.deliveryId,
      one.target,
      one.held ? 'held' : one.state,
      `${one.confirmed}/${one.total}`,
      one.attempts,
      one.error ? `${one.error.stage} ${one.error.code}` : '-',
      ago(one.updatedAt),
    ]),
  );
}

export function formatTargets(targets: readonly Target[]): string {
  return formatTable(
    ['target', 'type', 'state', 'waiting', 'active', 'failed', 'partial', 'delivered', 'oldest waiting'],
    targets.map((one) => [
      one.name,
      one.type,
      targetState(one),
      one.counts.waiting,
      one.counts.active,
      one.counts.failed,
      one.counts.partial,
      one.counts.delivered,
      ago(one.oldestWaitingAt),
    ]),
  );
}

export function targetState(target: Target): string {
  if (target.orphaned) return 'orphaned';
  if (target.moved) return 'moved';
  if (!target.enabled) return 'off';
  if (target.paused) return 'paused';
  return target.circuit.state === 'closed' ? 'in use' : 'out of reach';
}

export function formatStudy(study: StudyDetail): string {
  const { label } = study;
  const head = [
    `study        ${study.studyInstanceUid}`,
    ...(label
      ? [
          `patient      ${plain(label.patientName || '-')} (${plain(label.patientId || '-')})`,
          `accession    ${plain(label.accessionNumber || '-')}`,
          `description  ${plain(label.description || '-')}`,
        ]
      : []),
    `source       ${study.source}, Orthanc id ${study.orthancStudyId}${study.inSource === 'no' ? ' (no longer there)' : ''}`,
    `routed       ${study.routed ? `${ago(study.routedAt)} by ${study.rules.join(', ') || 'no rule'}` : 'never'}`,
  ];
  const verdicts = study.verdicts.map(
    ({ rule, matched, because }) => `rule ${rule}: ${matched ? 'matches' : 'does not match'}, ${because}`,
  );
  const omitted = study.omitted.map(({ target, why }) => `not sent to ${target}: ${why}`);
  return [
    ...head,
    ...omitted,
    ...verdicts,
    ...study.priors.flatMap(priorLines),
    ...study.deliveries.map((one) => `\n${formatDelivery(one)}`),
  ].join('\n');
}

function priorLines({ target, chosen, leftCount, note }: StudyDetail['priors'][number]): string[] {
  const why = note === undefined ? '' : `: ${note}`;
  return [
    `earlier studies to ${target}: ${chosen.length} chosen, ${leftCount} not${why}`,
    ...chosen.map(
      (one) => `  ${one.studyInstanceUid} from ${one.from}: ${one.deliveryState ?? one.note ?? one.state} (${one.why})`,
    ),
  ];
}

export function formatDelivery(delivery: DeliveryDetail): string {
  const lines = [
    `${delivery.target}: ${delivery.held ? 'held' : delivery.state}  (${delivery.deliveryId})`,
    `  ${delivery.explanation.text}`,
    ...(delivery.notice === undefined ? [] : [`  ! ${delivery.notice}`]),
    `  ${delivery.confirmed} of ${delivery.total} instances confirmed, ${delivery.quarantined} quarantined; ${delivery.attempts} attempts, ${formatBytes(delivery.bytesSent)} sent`,
  ];
  for (const event of delivery.events) {
    lines.push(`  ${utcTime(event.at)}  ${event.stage ? `[${event.stage}] ` : ''}${event.text}`);
  }
  return lines.join('\n');
}

function targetText(delivery: Delivery): string {
  const state = delivery.held ? 'held' : delivery.state;
  return `${delivery.target}:${state}${state === 'active' || state === 'partial' ? `(${delivery.confirmed}/${delivery.total})` : ''}`;
}

function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max - 1)}…` : text || '-';
}
