import type { OptionField } from '@dicom-dispatch/core';
import { fieldText, removedSecret, secretText } from '@dicom-dispatch/operations';
import { option } from '../components.ts';
import { html, type Html } from '../html.ts';

type Plain = Readonly<Record<string, unknown>>;

/** One option of a form, with its description, its default and a place for what is wrong with it. */
export function formField(field: OptionField, value: unknown, path: readonly string[]): Html {
  const dotted = path.join('.');
  if (field.kind === 'section') {
    const inner = (typeof value === 'object' && value !== null ? value : {}) as Plain;
    return html`<fieldset>
      <legend>${field.name}</legend>
      <small>${field.help}</small>
      <small class="field-error" data-error-of="${dotted}"></small>
      ${field.fields.map((one) => formField(one, inner[one.name], [...path, one.name]))}
    </fieldset>`;
  }
  return html`<label class="field"
      ><span>${field.name}${field.isRequired && html`<b aria-hidden="true"> *</b>`}</span
      >${control(field, value, dotted)}<small>${field.help}</small
      ><small class="field-error" id="error-${dotted}" data-error-of="${dotted}"></small
    ></label>
    ${field.kind === 'secret' && value !== undefined && html`<label class="check"><input type="checkbox" data-remove-secret="${dotted}" value="${removedSecret}" /> take ${field.name} away</label>`}`;
}

function control(field: OptionField, value: unknown, dotted: string): Html {
  const text = fieldText(field, value);
  const described = html` aria-describedby="error-${dotted}"`;
  const preset = field.defaultText === undefined ? 'not set' : `default: ${field.defaultText}`;
  switch (field.kind) {
    case 'choice':
    case 'flag': {
      const choices = field.kind === 'flag' ? ['true', 'false'] : field.choices;
      // A value that is none of them, such as ${NAME}, stays as it is.
      const all = text === '' || choices.includes(text) ? choices : [...choices, text];
      return html`<select name="${dotted}" ${described}>
        ${!field.isRequired && option('', preset, text)}${all.map((one) => option(one, one, text))}
      </select>`;
    }
    case 'secret': {
      const kept = secretText(value);
      return html`<input
        type="password"
        name="${dotted}"
        autocomplete="new-password"
        placeholder="${kept === undefined ? 'not set; type it, or ${NAME}, or file:PATH' : `kept: ${kept}`}"
        ${described}
      />`;
    }
    case 'list':
    case 'yaml':
      return html`<textarea
        name="${dotted}"
        rows="${Math.min(12, Math.max(2, text.split('\n').length))}"
        spellcheck="false"
        class="code"
        placeholder="${field.kind === 'list' ? `one a line; ${preset}` : `YAML; ${preset}`}"
        ${described}
      >
${text}</textarea>`;
    default:
      return html`<input
        name="${dotted}"
        value="${text}"
        placeholder="${field.isRequired ? '' : preset}"
        spellcheck="false"
        ${described}
      />`;
  }
}
