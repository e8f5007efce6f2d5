# make -j4 -f translate.mk: writes a French page next to each page. An existing translation is not requested again.
PAGES = $(filter-out %.fr.md,$(wildcard *.md))

.DELETE_ON_ERROR:
all: $(PAGES:.md=.fr.md)

%.fr.md: %.md
	ferry ask -q --no-stdin --strict -f $< "Translate this page to French. Keep its Markdown." >$@
