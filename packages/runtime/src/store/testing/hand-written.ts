/** Configuration files as people write them: what YAML allows, and how editors and people leave it. Name and text of each. */
export const handWritten: Readonly<Record<string, string>> = {
  'one option a line': `# head
sources:
  main:
    url: http://127.0.0.1:8042 # Orthanc
targets:
  a:
    type: dummy # for tests
    attempts: 3
rules:
  - name: one # first
    targets: [a]
  - name: two
    targets: [a]
# end
`,
  'all in flow style': `# flow
{ sources: { main: { url: "http://h" } }, targets: { a: { type: dummy, attempts: 3 } }, rules: [] } # end
`,
  'flow over lines, with comments': `targets: {
  # the first
  a: { type: dummy, attempts: 3 }, # inline
  # the second
  b: { type: dummy },
} # after
rules: [ { name: one, targets: [a] }, # r1
         { name: two, targets: [b] } ] # r2
`,
  'comments between key and value': `targets:
  # before the name
  a:
    # before the first option
    type:
      # before the value
      dummy
    # after the last option
  # after the target
# after the section
rules: []
`,
  'a comment after each line': `targets: # t
  a: # a
    type: dummy # type
    backoff: # back
      first: 1s # one
      max: 1h # two
rules: # r
  - # item
    name: one # n
    targets: # list
      - a # el
`,
  'comments at odd depths': `targets:
  a:
    type: dummy
        # deeper than it should be
  # shallower
    attempts: 3
 # one space
# none
  b:
    type: dummy
`,
  'only comments in a section': `targets:
  a: { type: dummy }
rules:
  # - name: none
  #   targets: [a]
groups: # nothing yet
`,
  'a commented target between others': `targets:
  a:
    type: dummy
  # old:
  #   type: dicom
  #   host: gone
  b:
    type: dummy
    # host: former
`,
  'rulers and boxes': `##############
#  Hospital  #
##############

#--- targets ---------------------------------#
targets:
  a:
    type: dummy
#---------------------------------------------#
`,
  'many blank lines': `


targets:


  a:

    type: dummy

    attempts: 3


  # b

  b:
    type: dummy



# end


`,
  'Windows line ends':
    '# head\r\ntargets:\r\n  # first\r\n  a:\r\n    type: dummy # t\r\n    attempts: 3\r\nrules:\r\n  - name: one\r\n    targets: [a] # x\r\n',
  'a byte order mark': '\uFEFF# head\ntargets:\n  a:\n    type: dummy # t\n    attempts: 3\n',
  'a byte order mark and Windows line ends':
    '\uFEFFtargets:\r\n  a:\r\n    type: dummy # t\r\n    attempts: 3\r\n# end\r\n',
  'tabs in and before comments':
    'targets:\t# tab before\n  a:\t#\ttabs\there\n    type: dummy\t\t# two\n    attempts: 3\n\t# a line with a tab\n',
  'trailing spaces': 'targets:   \n  a:  \n    type: dummy   # c   \n    attempts: 3  \n   \n# end  \n',
  'no line end at the end': 'targets:\n  a:\n    type: dummy # last',
  'a comment without a line end at the end': 'targets:\n  a:\n    type: dummy\n    attempts: 3\n# last',
  'a document start': `%YAML 1.2
---
# after the start
targets:
  a: { type: dummy } # a
`,
  'a comment before the document start': `# licence
---
targets:
  a:
    type: dummy
`,
  'a document end': `targets:
  a:
    type: dummy # a
# before the end
...
`,
  'four spaces': `targets:
    # four
    a:
        type: dummy
        backoff:
            first: 1s # deep
            max: 1h
`,
  'one space': `targets:
 a: # one
  type: dummy
  attempts: 3
rules:
 - name: one # r
   targets: [a]
`,
  'three and five spaces': `targets:
   a:
        type: dummy # five
        attempts: 3
   b:
      type: dummy # three
`,
  'lists without indent': `targets:
  a:
    type: dummy
rules:
# first
- name: one
  targets:
  # inner
  - a # el
# second
- name: two
  targets:
  - a
`,
  'lists with a wide dash': `targets: { a: { type: dummy } }
rules:
  -   name: one   # wide
      targets:
          -   a # wider
  -   name: two
      targets: [ a ]
`,
  'a dash on a line of its own': `targets: { a: { type: dummy } }
rules:
  -
    # inside
    name: one
    targets: [a]
  - # beside
    name: two
    targets: [a]
`,
  'anchors and aliases': `targets:
  a:
    type: dummy
    backoff: &slow # shared
      first: 10s
      max: 1h
  b:
    type: dummy
    backoff: *slow # the same
`,
  'an anchor on a list': `targets: { a: { type: dummy }, b: { type: dummy } }
rules:
  - name: one
    targets: &both [a, b] # both
  - name: two
    targets: *both # again
`,
  'an anchor on a scalar': `targets:
  a: { type: dummy, description: &words hello } # a
  b: { type: dummy, description: *words } # b
`,
  'single quotes': `targets:
  a:
    type: 'dummy' # quoted
    description: 'it''s # no comment'
`,
  'double quotes and escapes': String.raw`targets:
  a:
    type: "dummy"
    description: "tab\t, \u00e4 and # no comment" # but this
`,
  'quoted keys': `"targets":
  'a': # quoted
    "type": dummy
    'attempts': 3
`,
  'a folded scalar': `targets: { a: { type: dummy } }
rules:
  - name: one
    when: >- # folded
      "CT" in study.ModalitiesInStudy
      # this belongs to the text
      && source == "main"
    targets: [a] # after it
  - name: two
    targets: [a]
`,
  'a literal scalar': `targets:
  a:
    type: dummy
    description: |
      # no comment
      line two

      line four
    # a comment
    attempts: 3
`,
  'a literal scalar with an indent and a keep': `targets:
  a:
    type: dummy
    description: |2+ # header
        deep
      text

    attempts: 3 # after
`,
  'a plain scalar over lines': `targets:
  a:
    type: dummy
    description: many words
      on several
      lines # then a comment
    attempts: 3
`,
  'a scalar on the next line': `targets:
  a:
    type:
      dummy # here
    description:
      'quoted on the next' # and here
`,
  'empty values': `targets:
  a:
    type: dummy
    description: # nothing
    attempts: ~ # null
groups:
rules:
`,
  'numbers as people write them': `targets:
  a:
    type: dummy
    attempts: 0x10 # hexadecimal
    description: 1_000
    delay: 0 # off
  b: { type: dummy, attempts: +3, description: 010 } # octal, once
`,
  'words that look like others': `targets:
  a: { type: dummy, description: yes } # a word
  b: { type: dummy, description: "on" }
  c: { type: dummy, description: 'null', attempts: 3 } # not null
`,
  'explicit keys': `targets:
  ? a # the key
  : type: dummy # the value
    attempts: 3
  b:
    type: dummy
`,
  tags: `targets:
  a: !!map
    type: !!str dummy # a tag
    description: !!str 3
`,
  'characters of all the world': `# Konfiguration für das Krankenhaus – 設定 😀
targets:
  a:
    type: dummy # über
    description: "放射線科 😀" # Radiologie
`,
  'a very long line': `targets:
  a:
    type: dummy
    description: ${'long '.repeat(60)}end # far away
    attempts: 3
`,
  'a very long comment': `targets:
  a:
    type: dummy # ${'why '.repeat(80)}
    attempts: 3
`,
  'comments that look like YAML': `# targets: { z: { type: dummy } }
targets: #: yes
  a: #- no
    type: dummy # { x: y }
    #attempts: 4
    attempts: 3 #not a space
    description: a#b # hash inside
`,
  'values with colons and hashes': `targets:
  a:
    type: dummy
    description: http://x:1/#frag # url
    attempts: 3
  b: { type: dummy, description: "a: b" } # quoted
`,
  'spaces before colons': `targets :
  a :
    type : dummy # odd
    attempts  :  3
`,
  'aligned by columns': `sources:
  main:    { url: http://127.0.0.1:8042 }   # here
  second:  { url: http://127.0.0.1:8043 }   # there
targets:
  a:       { type: dummy, attempts: 3   }   # one
  archive: { type: dummy,               }   # two
`,
  'empty flow collections with comments': `sources: {} # none
targets:
  a: { type: dummy, backoff: { } } # empty
rules: [
  # nothing yet
]
`,
};
