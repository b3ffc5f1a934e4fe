import assert from 'node:assert/strict';
import {
  metricText,
  MetricValues,
  readProxyMetrics,
  type MetricDefinition,
} from '../../../src/metrics/index.ts';

const COUNTER: MetricDefinition = {
  name: 'x_total',
  type: 'counter',
  help: 'a\\b\nc',
  labels: { a: ['1', '2'], b: ['p', 'q'] },
};
const HISTOGRAM: MetricDefinition = { name: 'y_seconds', type: 'histogram', help: 'y', buckets: [0.1, 1] };

describe('metricText', () => {
  it('writes every series, also those at 0, and escapes help and labels', () => {
    const values = new MetricValues(COUNTER);
    values.increment(2);
    const text = metricText(COUNTER, [{ labels: { proxy: 'a"\\\n' }, numbers: values.numbers() }]);
    assert.equal(
      text,
      [
        '# HELP x_total a\\\\b\\nc',
        '# TYPE x_total counter',
        'x_total{proxy="a\\"\\\\\\n",a="1",b="p"} 0',
        'x_total{proxy="a\\"\\\\\\n",a="1",b="q"} 0',
        'x_total{proxy="a\\"\\\\\\n",a="2",b="p"} 1',
        'x_total{proxy="a\\"\\\\\\n",a="2",b="q"} 0',
        '',
      ].join('\n'),
    );
  });

  it('counts in a bucket everything up to its bound, the bound included', () => {
    const values = new MetricValues(HISTOGRAM);
    for (const seconds of [0.1, 0.5, 1, 7]) values.observe(0, seconds);
    assert.deepEqual(
      metricText(HISTOGRAM, [{ numbers: values.numbers() }])
        .split('\n')
        .slice(2),
      [
        'y_seconds_bucket{le="0.1"} 1',
        'y_seconds_bucket{le="1"} 3',
        'y_seconds_bucket{le="+Inf"} 4',
        'y_seconds_sum 8.6',
        'y_seconds_count 4',
        '',
      ],
    );
  });

  it('leaves out a metric that nobody has', () => {
    assert.equal(metricText(HISTOGRAM, []), '');
  });
});

describe('readProxyMetrics', () => {
  it('takes what has the form of the table, and nothing else', () => {
    const values = {
      tokens: [3],
      callers: [1, 2],
      budgetWaiting: ['1'],
      monitorSession: [0, -1, 1],
      cpu: [null],
      other: [1],
      __proto__: { memory: [1] },
    };
    assert.deepEqual(readProxyMetrics(values), { tokens: [3] });
    assert.deepEqual(readProxyMetrics('text'), {});
  });
});
