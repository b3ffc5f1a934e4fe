import { choiceValue, defineProgram, textValue } from '@msi-proxy/shared/command-line';
import { booleanSetting, choiceSetting, integerSetting } from '../../../src/index.ts';

/** A program with one of everything. */
const SETTINGS = {
  water: integerSetting({ env: 'BREW_WATER', description: 'How much.', defaultValue: 1, min: 1, max: 9 }),
  mode: choiceSetting({
    env: 'BREW_MODE',
    description: 'How.',
    defaultValue: 'wet',
    choices: ['wet', 'dry'],
  }),
  isSweet: booleanSetting({ env: 'BREW_WITH_SUGAR', description: 'Whether.', defaultValue: false }),
};

export const PROGRAM = defineProgram({
  name: 'brew',
  summary: 'makes tea',
  description: ['Makes tea in a pot.', 'A second paragraph.'],
  configuration: { settings: SETTINGS, prefix: 'BREW_', fileName: 'brew.yaml' },
  commands: {
    pour: {
      summary: 'pour into a cup',
      description: ['Pours until the cup is full.'],
      arguments: {
        cup: {
          summary: 'where to',
          value: textValue({ expectation: 'a cup', completedFrom: 'cup' }),
          required: true,
        },
        saucer: { summary: 'what is below', value: textValue({ expectation: 'a saucer' }) },
      },
      options: {
        sort: { summary: 'what to pour', value: choiceValue(['green', 'black']), short: 's' },
        degrees: {
          summary: 'how hot',
          placeholder: 'n',
          value: {
            expectation: 'a whole number',
            parse: text => (/^\d+$/.test(text) ? Number(text) : undefined),
          },
        },
        slowly: { summary: 'without haste' },
      },
      exitCodes: { 1: 'the pot is empty' },
      settings: { water: SETTINGS.water, isSweet: SETTINGS.isSweet },
      examples: [{ command: 'brew pour cup-1', meaning: 'fill a cup' }],
    },
    pot: { summary: 'show the pot', options: { json: { summary: 'as JSON' } } },
    'pot wash': {
      summary: 'wash the pot',
      arguments: { pot: { summary: 'which', value: textValue({ expectation: 'a pot' }) } },
      options: { all: { summary: 'all of them' } },
      exactlyOneOf: ['pot', 'all'],
      settings: { mode: SETTINGS.mode },
    },
    internal: { summary: 'for programs', hidden: true },
  },
  exitCodes: { 0: 'success', 1: 'failure' },
  examples: [{ command: 'brew pour cup-1', meaning: 'fill a cup' }],
});
