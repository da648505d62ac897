import type { OptionField } from '@dicom-dispatch/core';
import { fieldText, hideSecrets, removedSecret, secretText } from '@dicom-dispatch/operations';
import { option } from '../components.ts';
import { html, type Html } from '../html.ts';

type Plain = Readonly<Record<string, unknown>>;

/**
 * The options of a form.
 *
 * @param inherited - values of `targetDefaults` for options that the target does not set
 */
export function formFields(fields: readonly OptionField[], values: Plain, inherited: Plain = {}): Html[] {
  return fields.map((field) => formField(field, values[field.name], [field.name], inherited[field.name]));
}

/** Options under a title that can be expanded. */
export function fieldGroup(title: string, fields: readonly Html[], isOpen = false): Html {
  return html`<details class="card" ${isOpen && html` open`}>
    <summary>${title}</summary>
    <div class="options">${fields}</div>
  </details>`;
}

/**
 * One option of a form, with its description, its default and a place for its problems.
 *
 * @param inherited - value of `targetDefaults` if the target does not set it
 */
export function formField(field: OptionField, value: unknown, path: readonly string[], inherited?: unknown): Html {
  const dotted = path.join('.');
  if (field.kind === 'section') {
    const inner = asPlain(value);
    // A section in the target replaces the complete one of the defaults.
    const innerDefaults = value === undefined ? asPlain(inherited) : {};
    return html`<fieldset>
      <legend>${field.name}</legend>
      <small>${field.help}</small>
      <small class="field-error" data-error-of="${dotted}"></small>
      ${field.fields.map((one) => formField(one, inner[one.name], [...path, one.name], innerDefaults[one.name]))}
    </fieldset>`;
  }
  return html`<label class="field"
      ><span>${field.name}${field.isRequired && html`<b aria-hidden="true"> *</b>`}</span
      >${control(field, value, dotted, inherited)}<small>${field.help}</small
      ><small class="field-error" id="error-${dotted}" data-error-of="${dotted}"></small
    ></label>
    ${field.kind === 'secret' && value !== undefined && html`<label class="check"><input type="checkbox" data-remove-secret="${dotted}" value="${removedSecret}" /> take ${field.name} away</label>`}`;
}

function asPlain(value: unknown): Plain {
  return typeof value === 'object' && value !== null ? (value as Plain) : {};
}

function secretPreset(value: unknown, inherited: unknown): string {
  const kept = secretText(value);
  if (kept !== undefined) return `kept: ${kept}`;
  const given = secretText(inherited);
  return given === undefined ? 'not set; enter a value, ${NAME} or file:PATH' : `from targetDefaults: ${given}`;
}

/** Text for an empty field: the value that then applies. */
function presetOf(field: OptionField, inherited: unknown): string {
  if (inherited !== undefined) return `from targetDefaults: ${fieldText(field, hideSecrets(inherited))}`;
  return field.defaultText === undefined ? 'not set' : `default: ${field.defaultText}`;
}

function control(field: OptionField, value: unknown, dotted: string, inherited: unknown): Html {
  const text = fieldText(field, value);
  const described = html` aria-describedby="error-${dotted}"`;
  const preset = presetOf(field, inherited);
  switch (field.kind) {
    case 'choice':
    case 'flag': {
      const choices = field.kind === 'flag' ? ['true', 'false'] : field.choices;
      // Another value, such as ${NAME}, is preserved.
      const all = text === '' || choices.includes(text) ? choices : [...choices, text];
      return html`<select name="${dotted}" ${described}>
        ${(!field.isRequired || inherited !== undefined) && option('', preset, text)}${all.map((one) => option(one, one, text))}
      </select>`;
    }
    case 'secret': {
      return html`<input
        type="password"
        name="${dotted}"
        autocomplete="new-password"
        placeholder="${secretPreset(value, inherited)}"
        ${described}
      />`;
    }
    case 'list':
      return area(dotted, text, `one a line; ${preset}`, described);
    case 'yaml':
      return area(dotted, text, `YAML; ${preset}`, described);
    default:
      // An input would lose the line ends.
      if (text.includes('\n')) return area(dotted, text, preset, described);
      return html`<input
        name="${dotted}"
        value="${text}"
        placeholder="${field.isRequired && inherited === undefined ? '' : preset}"
        spellcheck="false"
        ${described}
      />`;
  }
}

function area(name: string, text: string, placeholder: string, described: Html): Html {
  return html`<textarea
    name="${name}"
    rows="${Math.min(12, Math.max(2, text.split('\n').length))}"
    spellcheck="false"
    class="code"
    placeholder="${placeholder}"
    ${described}
  >
${text}</textarea>`;
}
