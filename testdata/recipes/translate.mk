# make -j4 -f translate.mk: a French page beside each page. One that was paid for is not asked for again.
PAGES = $(filter-out %.fr.md,$(wildcard *.md))

.DELETE_ON_ERROR:
all: $(PAGES:.md=.fr.md)

%.fr.md: %.md
	ferry ask -q --no-stdin --strict -f $< "Translate this page to French. Keep its Markdown." >$@
