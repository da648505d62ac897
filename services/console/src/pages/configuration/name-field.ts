import { html, type Html } from '../html.ts';

/** The name of the edited entry. */
export function nameField(value: string): Html {
  return html`<label class="field"
    ><span>Name</span
    ><input name="name" required maxlength="63" value="${value}" data-name aria-describedby="error-name" /><small
      >Part of queue names and addresses: a-z, 0-9, dot, hyphen, underscore.</small
    ><small class="field-error" id="error-name" data-error-of="name"></small
  ></label>`;
}
