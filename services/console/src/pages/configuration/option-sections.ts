import { groupOfOption, optionGroups, type OptionField, type OptionGroup } from '@dicom-dispatch/core';
import { parse } from 'yaml';
import type { TargetType } from '../../configuration/target-types.ts';
import { html, type Html } from '../html.ts';
import { fieldGroup, formFields } from './form-field.ts';

type Plain = Readonly<Record<string, unknown>>;

const titles: Readonly<Record<OptionGroup, string>> = {
  basic: 'Basic',
  security: 'Security',
  speed: 'Speed',
  advanced: 'Advanced',
};

/** Initial values of a new target; secrets must be entered. */
export function exampleValues({ about, fields }: TargetType): Plain {
  const secrets = new Set(fields.filter(({ kind }) => kind === 'secret').map(({ name: option }) => option));
  return Object.fromEntries(
    Object.entries(about.example)
      .filter(([option]) => !secrets.has(option))
      .map(([option, text]) => [option, parse(text) as unknown]),
  );
}

/**
 * The options of a target type in their groups; those of the most common options are expanded.
 *
 * @param inherited - values of `targetDefaults` for the type
 */
export function optionSections(type: TargetType, values: Plain, inherited: Plain = {}): Html[] {
  return optionGroups.map((group) => section(group, type, values, inherited));
}

function section(group: OptionGroup, { about, fields }: TargetType, values: Plain, inherited: Plain): Html {
  const mine = fields.filter(({ name: option }) => groupOfOption(option, about.groups) === group);
  if (mine.length === 0) return html``;
  const order = about.groups[group === 'advanced' ? 'basic' : group] ?? [];
  const place = ({ name: option }: OptionField): number =>
    order.includes(option) ? order.indexOf(option) : order.length;
  const sorted = [...mine].sort((a, b) => place(a) - place(b));
  const needs =
    group === 'basic' || sorted.some(({ isRequired, name: option }) => isRequired || values[option] !== undefined);
  const set = sorted.filter(({ name: option }) => values[option] !== undefined).length;
  const isOpen = needs && group !== 'advanced';
  // A collapsed group shows the number of its set options, so that they are not overlooked.
  const title = isOpen || set === 0 ? titles[group] : `${titles[group]} (${set} set)`;
  return fieldGroup(title, formFields(sorted, values, inherited), isOpen);
}
